// Forward in bfloat16: 64 keys at a time, with an online softmax.
#include <cuda_runtime.h>

#include "base/cuda_launch.cuh"
#include "model/attention/bf16_tiles.cuh"

namespace homolog {
namespace model {
namespace attention {
namespace {

// What a thread knows of its two rows: largest score, and its own part of the sum.
struct OnlineSoftmax {
  float top[2] = {kLeast, kLeast}, sum[2] = {0, 0};
};

// 16 queries with 64 keys from `first` on, times log2(e); far below all others beyond the tokens.
template <int D>
__device__ void scores(const Bf16Problem& p, const Place& at, int query, const Rows16 (&q)[D / 16],
                       const TokenTile<D>& k, int first, Sums16x8 (&score)[kTile / 8]) {
  const Lane lane = lane_here();
  start_scores<false>(p, at, query, first, score);
#pragma unroll
  for (int j = 0; j < kTile / 8; ++j) {
    add_products<D>(q, k, 8 * j, score[j]);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool is_key = first + 8 * j + column_of(lane, i) < p.tokens;
      score[j].at[i] = is_key ? score[j].at[i] * (p.scale * kLog2E) : kLeast;
    }
  }
}

// Scores -> weights relative to the largest so far; returns what sums until now shrink by.
__device__ void weigh(Sums16x8 (&score)[kTile / 8], OnlineSoftmax& softmax, float (&keep)[2]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float top = softmax.top[half], sum = 0;
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j)
      top = fmaxf(top, fmaxf(score[j].at[2 * half], score[j].at[2 * half + 1]));
    top = largest_of_row(top);
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        score[j].at[i] = exp2f(score[j].at[i] - top);
        sum += score[j].at[i];
      }
    }
    keep[half] = exp2f(softmax.top[half] - top);
    softmax.sum[half] = softmax.sum[half] * keep[half] + sum;
    softmax.top[half] = top;
  }
}

template <int D>
__global__ void __launch_bounds__(kBlock) forward_kernel(Bf16Problem p) {
  __shared__ TokenTile<D> k;
  __shared__ ChannelTile<D> v;
  const Place at = place_here(p);
  const Lane lane = lane_here();
  const int first_query = first_row_here(p);
  Rows16 q[D / 16];
  read<D>(p, p.q, at, first_query, q);
  Sums16x8 out[D / 8] = {};
  OnlineSoftmax softmax;
  for (int first = 0; first < p.tokens; first += kTile) {
    __syncthreads();
    stage<D>(p, p.k, at, first, &k, nullptr);
    stage<D>(p, p.v, at, first, nullptr, &v);
    __syncthreads();
    Sums16x8 weight[kTile / 8];
    float keep[2];
    scores<D>(p, at, first_query, q, k, first, weight);
    weigh(weight, softmax, keep);
#pragma unroll
    for (int c = 0; c < D / 8; ++c) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out[c].at[i] *= keep[i / 2];
    }
#pragma unroll
    for (int j = 0; j < kTile / 16; ++j)
      add_weighted<D>({weight[2 * j], weight[2 * j + 1]}, v, 16 * j, out);
  }
  float factor[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float sum = sum_of_row(softmax.sum[half]);
    const int query = first_query + lane.g + 8 * half;
    factor[half] = 1 / sum;
    if (lane.t == 0 && query < p.tokens)
      log_sums(p, at)[query] = softmax.top[half] / kLog2E + logf(sum);
  }
  write<D>(p, out, factor, at, first_query, p.out);
}

}  // namespace

void forward_cuda(const Bf16Problem& p, void* stream) {
  for_channels<16>(p.channels, [&](auto d) {
    launch("window attention kernel", forward_kernel<d.value>, blocks_of(p), kBlock, stream, p);
  });
}

}  // namespace attention
}  // namespace model
}  // namespace homolog

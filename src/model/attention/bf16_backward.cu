// Backward in bfloat16, with P = exp(score - log of the sum), dS = P (dO v - delta), delta = dO
// out: one kernel for queries (dq = dS k, and the bias), one for keys (dk = dS^T q, dv = P^T dO).
// Scores are computed in each, which costs less than keeping them.
#include <cuda_runtime.h>

#include "base/cuda_launch.cuh"
#include "model/attention/bf16_tiles.cuh"

namespace homolog {
namespace model {
namespace attention {
namespace {

// Of a query: the logarithm of its sum, from forward, and delta.
__device__ float* log_sums(const Bf16Problem& p, const Place& at) {
  return p.softmax + at.pair * 2 * p.tokens;
}
__device__ float* deltas(const Bf16Problem& p, const Place& at) {
  return log_sums(p, at) + p.tokens;
}

__device__ float weight_of(const Bf16Problem& p, const Place& at, int query, int key, float product,
                           float log_sum) {
  if (query >= p.tokens || key >= p.tokens) return 0;
  return exp2f((product * p.scale + added(p, at, query, key) - log_sum) * kLog2E);
}

// The warp's 16 queries: what one needs of a query to take its gradients.
template <int D>
struct Queries {
  Rows16 q[D / 16], gradient[D / 16];
  float log_sum[2], delta[2];
};

// delta of the warp's query in row g + 8 * half.
template <int D>
__device__ float delta_of(const Bf16Problem& p, const Place& at, int query) {
  const Lane lane = lane_here();
  float sum = 0;
#pragma unroll
  for (int pair = lane.t; pair < D / 2; pair += 4) {
    const unsigned gradient = channels_of(p, p.out_gradient, at, query, pair),
                   out = channels_of(p, p.out, at, query, pair);
    sum += low_of(gradient) * low_of(out) + high_of(gradient) * high_of(out);
  }
  return sum_of_row(sum);
}

template <int D>
__device__ Queries<D> read_queries(const Bf16Problem& p, const Place& at) {
  const Lane lane = lane_here();
  Queries<D> queries;
  read<D>(p, p.q, at, first_row(), queries.q);
  read<D>(p, p.out_gradient, at, first_row(), queries.gradient);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int query = first_row() + lane.g + 8 * half;
    queries.log_sum[half] = query < p.tokens ? log_sums(p, at)[query] : 0;
    queries.delta[half] = delta_of<D>(p, at, query);
  }
  return queries;
}

// dS of the warp's queries with 8 keys of the tiles, from `token` of them on, `key` of all.
template <int D>
__device__ Sums16x8 score_gradients(const Bf16Problem& p, const Place& at,
                                    const Queries<D>& queries, const TokenTile<D>& k,
                                    const TokenTile<D>& v, int token, int key) {
  const Lane lane = lane_here();
  const Sums16x8 product = products<D>(queries.q, k, token),
                 of_weight = products<D>(queries.gradient, v, token);
  Sums16x8 ds;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float weight = weight_of(p, at, first_row() + row_of(lane, i), key + column_of(lane, i),
                                   product.at[i], queries.log_sum[i / 2]);
    ds.at[i] = weight * (of_weight.at[i] - queries.delta[i / 2]);
  }
  return ds;
}

__device__ void add_to_bias(const Bf16Problem& p, const Place& at, int key, const Sums16x8& ds) {
  const Lane lane = lane_here();
  const long long n = p.tokens;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int query = first_row() + row_of(lane, i), column = key + column_of(lane, i);
    if (query < n && column < n)
      atomicAdd(p.bias_gradient + (at.head * n + query) * n + column, ds.at[i]);
  }
}

// Also leaves delta for the kernels after it.
template <int D>
__global__ void __launch_bounds__(kBlock) query_kernel(Bf16Problem p, bool adds_bias) {
  __shared__ TokenTile<D> k, v;
  __shared__ ChannelTile<D> k_channels;
  const Place at = place(p);
  const Lane lane = lane_here();
  const Queries<D> queries = read_queries<D>(p, at);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int query = first_row() + lane.g + 8 * half;
    if (lane.t == 0 && query < p.tokens) deltas(p, at)[query] = queries.delta[half];
  }
  Sums16x8 dq[D / 8] = {};
  for (int first = 0; first < p.tokens; first += kTile) {
    __syncthreads();
    stage<D>(p, p.k, at, first, &k, &k_channels);
    stage<D>(p, p.v, at, first, &v, nullptr);
    __syncthreads();
    for (int token = 0; token < kTile; token += 16) {
      Sums16x8 ds[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int at_token = token + 8 * half;
        ds[half] = score_gradients<D>(p, at, queries, k, v, at_token, first + at_token);
        if (adds_bias) add_to_bias(p, at, first + at_token, ds[half]);
      }
      add_weighted<D>(ds, k_channels, token, dq);
    }
  }
  write<D>(p, dq, {p.scale, p.scale}, at, p.q_gradient);
}

template <int D>
__global__ void __launch_bounds__(kBlock) key_kernel(Bf16Problem p) {
  __shared__ TokenTile<D> q, gradient;
  __shared__ ChannelTile<D> q_channels, gradient_channels;
  __shared__ float log_sum[kTile], delta[kTile];
  const Place at = place(p);
  const Lane lane = lane_here();
  Rows16 k[D / 16], v[D / 16];
  read<D>(p, p.k, at, first_row(), k);
  read<D>(p, p.v, at, first_row(), v);
  Sums16x8 dk[D / 8] = {}, dv[D / 8] = {};
  for (int first = 0; first < p.tokens; first += kTile) {
    __syncthreads();
    stage<D>(p, p.q, at, first, &q, &q_channels);
    stage<D>(p, p.out_gradient, at, first, &gradient, &gradient_channels);
    if (threadIdx.x < kTile && first + static_cast<int>(threadIdx.x) < p.tokens) {
      log_sum[threadIdx.x] = log_sums(p, at)[first + threadIdx.x];
      delta[threadIdx.x] = deltas(p, at)[first + threadIdx.x];
    }
    __syncthreads();
    for (int token = 0; token < kTile; token += 16) {
      Sums16x8 weight[2], ds[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int column = token + 8 * half;
        const Sums16x8 product = products<D>(k, q, column),
                       of_weight = products<D>(v, gradient, column);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int at_query = column + column_of(lane, i);
          weight[half].at[i] = weight_of(p, at, first + at_query, first_row() + row_of(lane, i),
                                         product.at[i], log_sum[at_query]);
          ds[half].at[i] = weight[half].at[i] == 0
                               ? 0
                               : weight[half].at[i] * (of_weight.at[i] - delta[at_query]);
        }
      }
      add_weighted<D>(weight, gradient_channels, token, dv);
      add_weighted<D>(ds, q_channels, token, dk);
    }
  }
  write<D>(p, dk, {p.scale, p.scale}, at, p.k_gradient);
  write<D>(p, dv, {1, 1}, at, p.v_gradient);
}

// The bias's gradient without atomic additions: 64 queries and 64 keys a block, windows in their
// order.
template <int D>
__global__ void __launch_bounds__(kBlock) bias_kernel(Bf16Problem p) {
  __shared__ TokenTile<D> k, v;
  const int key = static_cast<int>(blockIdx.z) * kTile, head = static_cast<int>(blockIdx.x);
  Sums16x8 sums[kTile / 8] = {};
  for (int window = 0; window < p.windows; ++window) {
    const Place at = {window, head, window * static_cast<long long>(p.heads) + head};
    __syncthreads();
    stage<D>(p, p.k, at, key, &k, nullptr);
    stage<D>(p, p.v, at, key, &v, nullptr);
    __syncthreads();
    const Queries<D> queries = read_queries<D>(p, at);
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j) {
      const Sums16x8 ds = score_gradients<D>(p, at, queries, k, v, 8 * j, key + 8 * j);
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[j].at[i] += ds.at[i];
    }
  }
  const Place at = {0, head, head};
#pragma unroll
  for (int j = 0; j < kTile / 8; ++j) add_to_bias(p, at, key + 8 * j, sums[j]);
}

}  // namespace

void backward_cuda(const Bf16Problem& p, bool repeats, void* stream) {
  constexpr const char* kName = "window attention gradient kernel";
  const dim3 blocks = blocks_of(p);
  for_channels(p.channels, [&](auto d) {
    launch(kName, query_kernel<d.value>, blocks, kBlock, stream, p, !repeats);
    launch(kName, key_kernel<d.value>, blocks, kBlock, stream, p);
    if (!repeats) return;
    const dim3 tiles(static_cast<unsigned>(p.heads), blocks.y, blocks.y);
    launch(kName, bias_kernel<d.value>, tiles, kBlock, stream, p);
  });
}

}  // namespace attention
}  // namespace model
}  // namespace homolog

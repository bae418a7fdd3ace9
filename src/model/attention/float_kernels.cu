// In float32: a thread for each query, or each key, of a window and head, with the other side's
// rows in shared memory. P = exp(score - log of the sum), dS = P (dO v - delta), delta = dO out.
#include <cuda_runtime.h>

#include "base/cuda_launch.cuh"
#include "model/attention/device_rows.cuh"

namespace homolog {
namespace model {
namespace attention {
namespace {

using Problem = DeviceProblem<float>;

constexpr int kThreads = 128, kRows = 32;  // of a block; rows in shared memory at a time

// What a thread has: a query, or a key, of a window and head. Blocks of a window follow each other,
// so that what they read is still in the cache.
struct Own {
  Place at;
  int first, token;  // of the block; of this thread
  bool active;
};

__device__ Own own_here(const Problem& p) {
  const int blocks = (p.tokens + kThreads - 1) / kThreads;
  const int block = static_cast<int>(blockIdx.x), pair = block / blocks,
            first = block % blocks * kThreads, token = first + static_cast<int>(threadIdx.x);
  return {place_of(p, pair / p.heads, pair % p.heads), first, min(token, p.tokens - 1),
          token < p.tokens};
}

// One row of a tensor in registers; zero beyond its channels.
template <int D>
__device__ void read(const Problem& p, const float* from, float factor, float (&to)[D]) {
#pragma unroll
  for (int c = 0; c < D; ++c) to[c] = c < p.channels ? from[c] * factor : 0.f;
}

template <int D>
__device__ void write(const Problem& p, const float (&from)[D], float factor, float* to) {
#pragma unroll
  for (int c = 0; c < D; ++c) {
    if (c < p.channels) to[c] = from[c] * factor;
  }
}

template <int D>
__device__ float dot(const float (&a)[D], const float (&b)[D]) {
  float sum = 0;
#pragma unroll
  for (int c = 0; c < D; ++c) sum += a[c] * b[c];
  return sum;
}

template <int D>
__device__ void add(float factor, const float (&row)[D], float (&sum)[D]) {
#pragma unroll
  for (int c = 0; c < D; ++c) sum[c] += factor * row[c];
}

// `count` rows from `first` on into shared memory, by all threads of the block.
template <int D>
__device__ void stage(const Problem& p, const DeviceRows<const float>& rows, const Place& at,
                      int first, int count, float (&to)[kRows][D]) {
  for (int i = static_cast<int>(threadIdx.x); i < count * D; i += kThreads) {
    const int r = i / D, c = i % D;
    to[r][c] = c < p.channels ? row(rows, at, first + r)[c] : 0;
  }
}

// What is added to the scores of the block's queries with `count` keys: threads that are neighbours
// read neighbours in memory here, and later each its own row, in banks of their own.
using AddedTile = float[kThreads][kRows + 1];

__device__ void stage_added(const Problem& p, const Own& own, int first, int count, AddedTile& to) {
  for (int i = static_cast<int>(threadIdx.x); i < kThreads * kRows; i += kThreads) {
    const int query = min(own.first + i / kRows, p.tokens - 1), key = i % kRows;
    if (key < count) to[i / kRows][key] = added(own.at, query * p.tokens + first + key);
  }
}

template <int D>
__global__ void __launch_bounds__(kThreads) forward_kernel(Problem p) {
  __shared__ float k[kRows][D], v[kRows][D];
  __shared__ AddedTile extra;
  const Own own = own_here(p);
  float q[D], out[D] = {}, top = kLeast, sum = 0;
  read(p, row(p.q, own.at, own.token), p.scale, q);
  for (int first = 0; first < p.tokens; first += kRows) {
    const int count = min(kRows, p.tokens - first);
    __syncthreads();
    stage(p, p.k, own.at, first, count, k);
    stage(p, p.v, own.at, first, count, v);
    stage_added(p, own, first, count, extra);
    __syncthreads();
    for (int j = 0; j < count; ++j) {
      const float score = dot(q, k[j]) + extra[threadIdx.x][j];
      if (score > top) {
        const float keep = expf(top - score);
        sum *= keep;
#pragma unroll
        for (int c = 0; c < D; ++c) out[c] *= keep;
        top = score;
      }
      const float weight = expf(score - top);
      sum += weight;
      add(weight, v[j], out);
    }
  }
  if (!own.active) return;
  write(p, out, 1 / sum, row(p.out, own.at, own.token));
  log_sums(p, own.at)[own.token] = top + logf(sum);
}

// Gradients of q; leaves delta for the kernels after it.
template <int D>
__global__ void __launch_bounds__(kThreads) query_kernel(Problem p) {
  __shared__ float k[kRows][D], v[kRows][D];
  __shared__ AddedTile extra;
  const Own own = own_here(p);
  float q[D], gradient[D], dq[D] = {};
  read(p, row(p.out, own.at, own.token), 1, q);
  read(p, row(p.out_gradient, own.at, own.token), 1, gradient);
  const float delta = dot(q, gradient), log_sum = log_sums(p, own.at)[own.token];
  read(p, row(p.q, own.at, own.token), p.scale, q);
  for (int first = 0; first < p.tokens; first += kRows) {
    const int count = min(kRows, p.tokens - first);
    __syncthreads();
    stage(p, p.k, own.at, first, count, k);
    stage(p, p.v, own.at, first, count, v);
    stage_added(p, own, first, count, extra);
    __syncthreads();
    for (int j = 0; j < count; ++j) {
      const float weight = expf(dot(q, k[j]) + extra[threadIdx.x][j] - log_sum);
      add(weight * (dot(gradient, v[j]) - delta), k[j], dq);
    }
  }
  if (!own.active) return;
  write(p, dq, p.scale, row(p.q_gradient, own.at, own.token));
  deltas(p, own.at)[own.token] = delta;
}

// Gradients of k and v and, by atomic additions, of the bias.
template <int D>
__global__ void __launch_bounds__(kThreads) key_kernel(Problem p, bool adds_bias) {
  __shared__ float q[kRows][D], gradient[kRows][D], log_sum[kRows], delta[kRows];
  const Own own = own_here(p);
  float k[D], v[D], dk[D] = {}, dv[D] = {};
  read(p, row(p.k, own.at, own.token), p.scale, k);
  read(p, row(p.v, own.at, own.token), 1, v);
  for (int first = 0; first < p.tokens; first += kRows) {
    const int count = min(kRows, p.tokens - first), i = static_cast<int>(threadIdx.x);
    __syncthreads();
    stage(p, p.q, own.at, first, count, q);
    stage(p, p.out_gradient, own.at, first, count, gradient);
    if (i < count) {
      log_sum[i] = log_sums(p, own.at)[first + i];
      delta[i] = deltas(p, own.at)[first + i];
    }
    __syncthreads();
    if (!own.active) continue;
    for (int j = 0; j < count; ++j) {
      const int at_score = (first + j) * p.tokens + own.token;
      const float weight = expf(dot(q[j], k) + added(own.at, at_score) - log_sum[j]),
                  ds = weight * (dot(gradient[j], v) - delta[j]);
      add(weight, gradient[j], dv);
      add(ds, q[j], dk);
      if (adds_bias) atomicAdd(bias_gradient_of(p, own.at.head) + at_score, ds);
    }
  }
  if (!own.active) return;
  write(p, dk, p.scale, row(p.k_gradient, own.at, own.token));
  write(p, dv, 1, row(p.v_gradient, own.at, own.token));
}

// The bias's gradient of a chunk of windows, in their order: a thread for each score of a head (y).
template <int D>
__global__ void __launch_bounds__(kThreads) bias_kernel(Problem p) {
  const int score = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x),
            head = static_cast<int>(blockIdx.y) % p.heads,
            index = static_cast<int>(blockIdx.y) / p.heads;
  if (score >= p.tokens * p.tokens) return;
  const int query = score / p.tokens, key = score % p.tokens;
  const Chunk chunk = chunk_of(p, index);
  float sum = 0;
  for (int window = chunk.first; window < chunk.last; ++window) {
    const Place at = place_of(p, window, head);
    float a[D], b[D];
    read(p, row(p.q, at, query), p.scale, a);
    read(p, row(p.k, at, key), 1, b);
    const float weight = expf(dot(a, b) + added(at, score) - log_sums(p, at)[query]);
    read(p, row(p.out_gradient, at, query), 1, a);
    read(p, row(p.v, at, key), 1, b);
    sum += weight * (dot(a, b) - deltas(p, at)[query]);
  }
  bias_gradient_of(p, index * p.heads + head)[score] = sum;
}

unsigned blocks_of(const Problem& p) {
  return static_cast<unsigned>(p.windows * p.heads * ((p.tokens + kThreads - 1) / kThreads));
}

}  // namespace

void forward_cuda(const Problem& p, void* stream) {
  for_channels<8>(p.channels, [&](auto d) {
    launch("window attention kernel", forward_kernel<d.value>, blocks_of(p), kThreads, stream, p);
  });
}

void backward_cuda(const Problem& p, void* stream) {
  constexpr const char* kName = "window attention gradient kernel";
  for_channels<8>(p.channels, [&](auto d) {
    launch(kName, query_kernel<d.value>, blocks_of(p), kThreads, stream, p);
    launch(kName, key_kernel<d.value>, blocks_of(p), kThreads, stream, p, p.bias_chunks == 1);
    if (p.bias_chunks == 1) return;
    const int scores = p.tokens * p.tokens;
    const dim3 grid(static_cast<unsigned>((scores + kThreads - 1) / kThreads),
                    static_cast<unsigned>(p.heads * p.bias_chunks));
    launch(kName, bias_kernel<d.value>, grid, kThreads, stream, p);
  });
}

}  // namespace attention
}  // namespace model
}  // namespace homolog

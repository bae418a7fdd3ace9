// In float32: a thread for each query, or each key, of a window and head, with the other side's
// rows in shared memory. The same formulas as gradient_tile.h.
#include <cuda_runtime.h>

#include <type_traits>

#include "base/cuda_launch.cuh"
#include "model/attention/device_rows.cuh"

namespace homolog {
namespace model {
namespace attention {
namespace {

constexpr int kThreads = 128, kRows = 32;  // of a block; rows in shared memory at a time
using Problem = DeviceProblem<float>;

// One row of a tensor in registers or shared memory; zero beyond its channels.
template <int D>
__device__ void read(const Problem& p, const float* from, float factor, float* to) {
#pragma unroll
  for (int c = 0; c < D; ++c) to[c] = c < p.channels ? from[c] * factor : 0.f;
}

template <int D>
__device__ void write(const Problem& p, const float* from, float* to) {
#pragma unroll
  for (int c = 0; c < D; ++c) {
    if (c < p.channels) to[c] = from[c];
  }
}

template <int D>
__device__ float dot(const float* a, const float* b) {
  float sum = 0;
#pragma unroll
  for (int c = 0; c < D; ++c) sum += a[c] * b[c];
  return sum;
}

struct Softmax {
  float top, sum;
};

__device__ Softmax softmax_of(const Problem& p, const Place& at, int query) {
  const float* from = p.softmax + at.pair * 2 * p.tokens + query;
  return {from[0], from[p.tokens]};
}

// g = do / sum of a query -> g; returns delta.
template <int D>
__device__ float read_gradient(const Problem& p, const Place& at, int query, float sum, float* g) {
  read<D>(p, row(p.out_gradient, at, query), 1 / sum, g);
  const float* out = row(p.out, at, query);
  float delta = 0;
  for (int c = 0; c < p.channels; ++c) delta += g[c] * out[c];
  return delta;
}

template <int D>
__global__ void forward_kernel(Problem p) {
  const Place at = place(p);
  const int query = blockIdx.y * kThreads + threadIdx.x;
  const bool active = query < p.tokens;
  __shared__ float k[kRows][D], v[kRows][D];
  float q[D], out[D] = {}, top = kLeast, sum = 0;
  read<D>(p, row(p.q, at, active ? query : 0), p.scale, q);
  for (int first = 0; first < p.tokens; first += kRows) {
    const int count = min(kRows, p.tokens - first);
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < count) {
      read<D>(p, row(p.k, at, first + threadIdx.x), 1, k[threadIdx.x]);
      read<D>(p, row(p.v, at, first + threadIdx.x), 1, v[threadIdx.x]);
    }
    __syncthreads();
    if (!active) continue;
    for (int j = 0; j < count; ++j) {
      const float score = dot<D>(q, k[j]) + added(p, at, query, first + j);
      if (score > top) {
        const float keep = expf(top - score);
        sum *= keep;
#pragma unroll
        for (int c = 0; c < D; ++c) out[c] *= keep;
        top = score;
      }
      const float e = expf(score - top);
      sum += e;
#pragma unroll
      for (int c = 0; c < D; ++c) out[c] += e * v[j][c];
    }
  }
  if (!active) return;
#pragma unroll
  for (int c = 0; c < D; ++c) out[c] /= sum;
  write<D>(p, out, row(p.out, at, query));
  float* softmax = p.softmax + at.pair * 2 * p.tokens + query;
  softmax[0] = top;
  softmax[p.tokens] = sum;
}

// Gradients of q and, by atomic additions, of the bias.
template <int D>
__global__ void query_kernel(Problem p, bool adds_bias) {
  const Place at = place(p);
  const int query = blockIdx.y * kThreads + threadIdx.x;
  const bool active = query < p.tokens;
  const int own = active ? query : 0;
  __shared__ float k[kRows][D], v[kRows][D];
  float q[D], g[D], dq[D] = {};
  const Softmax softmax = softmax_of(p, at, own);
  read<D>(p, row(p.q, at, own), p.scale, q);
  const float delta = read_gradient<D>(p, at, own, softmax.sum, g);
  for (int first = 0; first < p.tokens; first += kRows) {
    const int count = min(kRows, p.tokens - first);
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < count) {
      read<D>(p, row(p.k, at, first + threadIdx.x), 1, k[threadIdx.x]);
      read<D>(p, row(p.v, at, first + threadIdx.x), 1, v[threadIdx.x]);
    }
    __syncthreads();
    if (!active) continue;
    for (int j = 0; j < count; ++j) {
      const float score = dot<D>(q, k[j]) + added(p, at, query, first + j);
      const float ds = expf(score - softmax.top) * (dot<D>(g, v[j]) - delta);
#pragma unroll
      for (int c = 0; c < D; ++c) dq[c] += ds * k[j][c];
      if (adds_bias) {
        const long long n = p.tokens;
        atomicAdd(p.bias_gradient + (at.head * n + query) * n + first + j, ds);
      }
    }
  }
  if (!active) return;
#pragma unroll
  for (int c = 0; c < D; ++c) dq[c] *= p.scale;
  write<D>(p, dq, row(p.q_gradient, at, query));
}

// Gradients of k and v.
template <int D>
__global__ void key_kernel(Problem p) {
  const Place at = place(p);
  const int key = blockIdx.y * kThreads + threadIdx.x;
  const bool active = key < p.tokens;
  __shared__ float q[kRows][D], g[kRows][D], top[kRows], delta[kRows];
  float k[D], v[D], dk[D] = {}, dv[D] = {};
  read<D>(p, row(p.k, at, active ? key : 0), 1, k);
  read<D>(p, row(p.v, at, active ? key : 0), 1, v);
  for (int first = 0; first < p.tokens; first += kRows) {
    const int count = min(kRows, p.tokens - first);
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < count) {
      const int query = first + threadIdx.x;
      const Softmax softmax = softmax_of(p, at, query);
      read<D>(p, row(p.q, at, query), p.scale, q[threadIdx.x]);
      delta[threadIdx.x] = read_gradient<D>(p, at, query, softmax.sum, g[threadIdx.x]);
      top[threadIdx.x] = softmax.top;
    }
    __syncthreads();
    if (!active) continue;
    for (int i = 0; i < count; ++i) {
      const float score = dot<D>(q[i], k) + added(p, at, first + i, key);
      const float e = expf(score - top[i]), ds = e * (dot<D>(g[i], v) - delta[i]);
#pragma unroll
      for (int c = 0; c < D; ++c) {
        dv[c] += e * g[i][c];
        dk[c] += ds * q[i][c];  // q holds the scale
      }
    }
  }
  if (!active) return;
  write<D>(p, dk, row(p.k_gradient, at, key));
  write<D>(p, dv, row(p.v_gradient, at, key));
}

// The bias's gradient, a thread for each score of a head, windows in their order.
template <int D>
__global__ void bias_kernel(Problem p) {
  const long long n = p.tokens, score_at = blockIdx.x * (long long)kThreads + threadIdx.x;
  if (score_at >= n * n) return;
  const int query = static_cast<int>(score_at / n), key = static_cast<int>(score_at % n);
  float sum = 0;
  for (int window = 0; window < p.windows; ++window) {
    const int head = blockIdx.y;
    const Place at = {window, head, window * (long long)p.heads + head};
    const Softmax softmax = softmax_of(p, at, query);
    float q[D], k[D], v[D], g[D];
    read<D>(p, row(p.q, at, query), p.scale, q);
    read<D>(p, row(p.k, at, key), 1, k);
    read<D>(p, row(p.v, at, key), 1, v);
    const float delta = read_gradient<D>(p, at, query, softmax.sum, g);
    const float score = dot<D>(q, k) + added(p, at, query, key);
    sum += expf(score - softmax.top) * (dot<D>(g, v) - delta);
  }
  p.bias_gradient[blockIdx.y * n * n + score_at] = sum;
}

dim3 blocks(const Problem& p) {
  return dim3(static_cast<unsigned>(p.windows * p.heads),
              static_cast<unsigned>((p.tokens + kThreads - 1) / kThreads));
}

// Calls with(d), d.value the room for a number of channels.
template <class With>
void for_channels(int channels, const With& with) {
  if (channels <= 8)
    with(std::integral_constant<int, 8>());
  else if (channels <= 16)
    with(std::integral_constant<int, 16>());
  else if (channels <= 32)
    with(std::integral_constant<int, 32>());
  else
    with(std::integral_constant<int, 64>());
}

}  // namespace

void forward_cuda(const Problem& p, void* stream) {
  for_channels(p.channels, [&](auto d) {
    launch("window attention kernel", forward_kernel<d.value>, blocks(p), kThreads, stream, p);
  });
}

void backward_cuda(const Problem& p, bool repeats, void* stream) {
  constexpr const char* kName = "window attention gradient kernel";
  for_channels(p.channels, [&](auto d) {
    launch(kName, query_kernel<d.value>, blocks(p), kThreads, stream, p, !repeats);
    launch(kName, key_kernel<d.value>, blocks(p), kThreads, stream, p);
    if (!repeats) return;
    const long long scores = static_cast<long long>(p.tokens) * p.tokens;
    const dim3 grid(static_cast<unsigned>((scores + kThreads - 1) / kThreads),
                    static_cast<unsigned>(p.heads));
    launch(kName, bias_kernel<d.value>, grid, kThreads, stream, p);
  });
}

}  // namespace attention
}  // namespace model
}  // namespace homolog

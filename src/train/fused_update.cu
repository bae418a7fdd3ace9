// The GPU version: one block per chunk, float4-free and simple, bound by memory bandwidth. Sums go
// chunk by chunk in a fixed order, so that a run repeats itself bit for bit.
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "train/fused_update.h"

namespace homolog {
namespace train {
namespace {

constexpr int kThreads = 256;

void check(cudaError_t code, const char* what) {
  if (code != cudaSuccess)
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(code));
}

__global__ void chunk_square_sums(UpdateBuffers b) {
  const UpdateChunk chunk = b.chunks[blockIdx.x];
  const float* g = b.gradient + chunk.begin;
  double sum = 0;
  for (int i = threadIdx.x; i < chunk.count; i += kThreads) sum += static_cast<double>(g[i]) * g[i];
  __shared__ double part[kThreads];
  part[threadIdx.x] = sum;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) b.chunk_sums[blockIdx.x] = part[0];
}

// Chunks of a segment follow each other, so each thread sums the run of its segment.
__global__ void segment_sums(UpdateBuffers b) {
  for (int s = threadIdx.x; s < b.segment_count; s += blockDim.x) b.segment_squares[s] = 0;
  __syncthreads();
  for (int c = threadIdx.x; c < b.chunk_count; c += blockDim.x) {
    const int segment = b.chunks[c].segment;
    if (c > 0 && b.chunks[c - 1].segment == segment) continue;  // not the first of its run
    double sum = 0;
    for (int k = c; k < b.chunk_count && b.chunks[k].segment == segment; ++k)
      sum += b.chunk_sums[k];
    b.segment_squares[segment] = sum;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    double all = 0, clipped = 0;
    for (int s = 0; s < b.segment_count; ++s) {
      all += b.segment_squares[s];
      if (b.segments[s].clipped != 0) clipped += b.segment_squares[s];
    }
    b.segment_squares[b.segment_count] = all;
    b.segment_squares[b.segment_count + 1] = clipped;
  }
}

__global__ void update(UpdateBuffers b, UpdateRates r) {
  const UpdateChunk chunk = b.chunks[blockIdx.x];
  const UpdateSegment segment = b.segments[chunk.segment];
  double factor = 1;
  if (r.clip > 0 && segment.clipped != 0) {
    const double square = b.segment_squares[r.clip_global ? b.segment_count + 1 : chunk.segment];
    factor = fmin(1.0, r.clip / (sqrt(square) * r.gradient_scale + 1e-6));
  }
  const double decay_rate = segment.decayed != 0 ? r.weight_decay : 0;
  const float scale = static_cast<float>(r.gradient_scale * factor),
              decay = static_cast<float>(decay_rate);
  const float beta1 = static_cast<float>(r.beta1), beta2 = static_cast<float>(r.beta2);
  const float epsilon = static_cast<float>(r.epsilon);
  const float keep = static_cast<float>(1 - r.learning_rate * decay_rate);
  const float rate =
      static_cast<float>(r.adamw ? r.learning_rate / segment.bias1 : r.learning_rate);
  const float ema = static_cast<float>(r.ema_momentum),
              rest = static_cast<float>(1 - r.ema_momentum);
  for (int i = threadIdx.x; i < chunk.count; i += kThreads) {
    const std::int64_t at = chunk.begin + i;
    float p = b.parameter[at];
    if (segment.active != 0) {
      float g = b.gradient[at] * scale, m = b.moment1[at];
      if (r.adamw) {
        float v = b.moment2[at];
        m = m + (1 - beta1) * (g - m);
        v = v * beta2 + (1 - beta2) * g * g;
        p = p * keep - rate * (m / (sqrtf(v) / segment.bias2_root + epsilon));
        b.moment2[at] = v;
      } else {
        g += decay * p;
        m = beta1 * m + g;
        p -= rate * m;
      }
      b.moment1[at] = m;
      b.parameter[at] = p;
    }
    b.gradient[at] = 0;
    if (segment.target_begin >= 0) {
      const std::int64_t t = segment.target_begin + (at - segment.begin);
      b.target[t] = ema * b.target[t] + rest * p;
    }
  }
}

}  // namespace

void measure_cuda(const UpdateBuffers& b, void* stream) {
  const auto queue = static_cast<cudaStream_t>(stream);
  chunk_square_sums<<<b.chunk_count, kThreads, 0, queue>>>(b);
  segment_sums<<<1, 1024, 0, queue>>>(b);
  check(cudaGetLastError(), "gradient norm kernel");
}

void update_cuda(const UpdateBuffers& b, const UpdateRates& r, void* stream) {
  update<<<b.chunk_count, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(b, r);
  check(cudaGetLastError(), "update kernel");
}

}  // namespace train
}  // namespace homolog

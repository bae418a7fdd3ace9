// The GPU version: a block a chunk, bound by memory bandwidth. Sums go in a fixed order, so that a
// run repeats itself bit for bit.
#include <cuda_runtime.h>

#include "base/cuda_launch.cuh"
#include "train/fused_update.h"

namespace homolog {
namespace train {
namespace {

constexpr int kThreads = 256, kWarp = 32;

// To all threads of the warp.
__device__ double sum_of_warp(double x) {
#pragma unroll
  for (int apart = kWarp / 2; apart > 0; apart /= 2) x += __shfl_xor_sync(0xFFFFFFFFu, x, apart);
  return x;
}

__global__ void chunk_square_sums(UpdateBuffers b) {
  const UpdateChunk chunk = b.chunks[blockIdx.x];
  const float* g = b.gradient + chunk.begin;
  double sum = 0;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < chunk.count; i += kThreads)
    sum += static_cast<double>(g[i]) * g[i];
  __shared__ double of_warp[kThreads / kWarp];
  sum = sum_of_warp(sum);
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  double all = 0;
  for (const double part : of_warp) all += part;
  b.chunk_sums[blockIdx.x] = all;
}

// One block; a warp a segment, then the first warp for all of them.
__global__ void segment_sums(UpdateBuffers b) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            warp = static_cast<int>(threadIdx.x) / kWarp,
            warps = static_cast<int>(blockDim.x) / kWarp;
  for (int s = warp; s < b.segment_count; s += warps) {
    const UpdateSegment segment = b.segments[s];
    double sum = 0;
    for (int c = lane; c < segment.chunk_count; c += kWarp)
      sum += b.chunk_sums[segment.first_chunk + c];
    sum = sum_of_warp(sum);
    if (lane == 0) b.segment_squares[s] = sum;
  }
  __syncthreads();
  if (warp != 0) return;
  double all = 0, clipped = 0;
  for (int s = lane; s < b.segment_count; s += kWarp) {
    const double square = b.segment_squares[s];
    all += square;
    if (b.segments[s].clipped != 0) clipped += square;
  }
  all = sum_of_warp(all);
  clipped = sum_of_warp(clipped);
  if (lane != 0) return;
  b.segment_squares[b.segment_count] = all;
  b.segment_squares[b.segment_count + 1] = clipped;
}

// What the update needs of a segment, as floats.
struct Step {
  float scale, decay, beta1, beta2, epsilon, bias2_root, keep, rate, ema, rest;
};

__device__ Step step_of(const UpdateBuffers& b, const UpdateRates& r, int index) {
  const UpdateSegment& segment = b.segments[index];
  double factor = 1;
  if (r.clip > 0 && segment.clipped != 0) {
    const double square = b.segment_squares[r.clip_global ? b.segment_count + 1 : index];
    factor = fmin(1.0, r.clip / (sqrt(square) * r.gradient_scale + 1e-6));
  }
  const double decay = segment.decayed != 0 ? r.weight_decay : 0;
  const double rate = r.adamw ? r.learning_rate / segment.bias1 : r.learning_rate;
  return {static_cast<float>(r.gradient_scale * factor),
          static_cast<float>(decay),
          static_cast<float>(r.beta1),
          static_cast<float>(r.beta2),
          static_cast<float>(r.epsilon),
          segment.bias2_root,
          static_cast<float>(1 - r.learning_rate * decay),
          static_cast<float>(rate),
          static_cast<float>(r.ema_momentum),
          static_cast<float>(1 - r.ema_momentum)};
}

struct Element {
  float parameter, gradient, moment1, moment2, target;
};

__device__ void adamw(const Step& s, Element& e) {
  const float g = e.gradient * s.scale;
  e.moment1 += (1 - s.beta1) * (g - e.moment1);
  e.moment2 = e.moment2 * s.beta2 + (1 - s.beta2) * g * g;
  e.parameter =
      e.parameter * s.keep - s.rate * (e.moment1 / (sqrtf(e.moment2) / s.bias2_root + s.epsilon));
}

__device__ void sgd(const Step& s, Element& e) {
  e.moment1 = s.beta1 * e.moment1 + e.gradient * s.scale + s.decay * e.parameter;
  e.parameter -= s.rate * e.moment1;
}

// Where the elements of a chunk lie, and which of their buffers are read and written.
struct Streams {
  UpdateBuffers b;
  std::int64_t to_target;  // from an element's place in the arena
  bool active, has_target, has_moment2;

  __device__ Element read(std::int64_t at) const {
    Element e = {b.parameter[at], 0, 0, 0, 0};
    if (active) {
      e.gradient = b.gradient[at];
      e.moment1 = b.moment1[at];
      if (has_moment2) e.moment2 = b.moment2[at];
    }
    if (has_target) e.target = b.target[at + to_target];
    return e;
  }

  __device__ void write(std::int64_t at, const Element& e) const {
    if (active) {
      b.parameter[at] = e.parameter;
      b.moment1[at] = e.moment1;
      if (has_moment2) b.moment2[at] = e.moment2;
    }
    b.gradient[at] = 0;
    if (has_target) b.target[at + to_target] = e.target;
  }
};

// A thread waits for several elements at once: nothing says that the buffers do not overlap, so the
// compiler would not read the next one before this one is written.
__global__ void __launch_bounds__(kThreads, 4) update(UpdateBuffers b, UpdateRates r) {
  constexpr int kAtOnce = 4;
  const UpdateChunk chunk = b.chunks[blockIdx.x];
  const UpdateSegment& segment = b.segments[chunk.segment];
  const Step step = step_of(b, r, chunk.segment);
  const Streams streams = {b, segment.target_begin - segment.begin, segment.active != 0,
                           segment.target_begin >= 0, r.adamw};
  for (int first = static_cast<int>(threadIdx.x); first < chunk.count;
       first += kThreads * kAtOnce) {
    Element elements[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const int i = first + k * kThreads;
      if (i < chunk.count) elements[k] = streams.read(chunk.begin + i);
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const int i = first + k * kThreads;
      if (i >= chunk.count) continue;
      Element& e = elements[k];
      if (streams.active && r.adamw) adamw(step, e);
      if (streams.active && !r.adamw) sgd(step, e);
      e.target = step.ema * e.target + step.rest * e.parameter;
      streams.write(chunk.begin + i, e);
    }
  }
}

}  // namespace

void measure_cuda(const UpdateBuffers& b, void* stream) {
  const auto chunks = static_cast<unsigned>(b.chunk_count);
  launch("gradient norm kernel", chunk_square_sums, chunks, kThreads, stream, b);
  launch("gradient norm kernel", segment_sums, 1, 1024, stream, b);
}

void update_cuda(const UpdateBuffers& b, const UpdateRates& r, void* stream) {
  launch("update kernel", update, static_cast<unsigned>(b.chunk_count), kThreads, stream, b, r);
}

}  // namespace train
}  // namespace homolog

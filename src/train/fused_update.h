// Norm, clip, AdamW or SGD, EMA and zeroing over flat float32 buffers: a CPU version and a CUDA
// kernel behind plain pointers, so that no Torch header meets nvcc. C++17.
#pragma once

#include <cstdint>

namespace homolog::train {

// One tensor of the arena. begin and count in elements.
struct UpdateSegment {
  std::int64_t begin = 0, count = 0;
  std::int64_t target_begin = -1;  // in the target buffer; -1: no EMA copy
  std::int32_t decayed = 0, clipped = 0, active = 0;
  std::int32_t first_chunk = 0, chunk_count = 0;  // its chunks follow each other
  float bias1 = 1, bias2_root = 1;  // 1 - beta1^t, sqrt(1 - beta2^t), t counting this update
};

// A piece of one segment: the unit of parallel work and of the fixed order of summation.
struct UpdateChunk {
  std::int64_t begin = 0;  // in the arena
  std::int32_t count = 0, segment = 0;
};

struct UpdateBuffers {
  float *parameter = nullptr, *gradient = nullptr, *moment1 = nullptr;
  float* moment2 = nullptr;  // AdamW only
  float* target = nullptr;   // may be null when no segment has a target
  const UpdateSegment* segments = nullptr;
  const UpdateChunk* chunks = nullptr;
  std::int32_t segment_count = 0, chunk_count = 0;
  double* chunk_sums = nullptr;       // [chunk_count], scratch
  double* segment_squares = nullptr;  // [segment_count + 2]: squared norms of the gradient sums;
                                      // then all segments together; then the clipped ones alone
};

struct UpdateRates {
  double learning_rate = 0, weight_decay = 0, ema_momentum = 1;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  // sgd: beta1 is the momentum
  double gradient_scale = 1;                          // mean gradient = scale * stored sum
  double clip = 0;                                    // 0: none
  bool clip_global = false;
  bool adamw = true;  // false: SGD with momentum, coupled decay
};

// Fill segment_squares. Sums are in double and in chunk order: equal for any number of threads.
void measure_cpu(const UpdateBuffers& buffers);
// Leaves zeros in all of the gradient, for the next step to add to.
void update_cpu(const UpdateBuffers& buffers, const UpdateRates& rates);
// True when no element is infinite or NaN.
bool all_finite_cpu(const float* values, std::int64_t count);

// The same on a GPU: every pointer is device memory, `stream` a cudaStream_t; returns at once.
// Throw Fault::Environment where a kernel cannot start, or no CUDA is compiled in.
void measure_cuda(const UpdateBuffers& buffers, void* stream);
void update_cuda(const UpdateBuffers& buffers, const UpdateRates& rates, void* stream);

}  // namespace homolog::train

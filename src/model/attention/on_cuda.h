// Window attention on a GPU behind plain pointers, so that no Torch header meets nvcc. C++17. Every
// pointer is device memory, `stream` a cudaStream_t; calls return at once. They throw
// Fault::Environment where a kernel cannot start, or no CUDA is compiled in.
#pragma once

#include <cstdint>

#include "base/bf16.h"

namespace homolog {
namespace model {
namespace attention {

// Rows of channels, adjacent in memory; strides in elements.
template <class T>
struct DeviceRows {
  T* data = nullptr;
  std::int64_t window = 0, token = 0, head = 0;
};

// T: float, or Bf16 with every row at an address of a multiple of 4 bytes and an even number of
// channels.
template <class T>
struct DeviceProblem {
  int windows = 0, heads = 0, tokens = 0, channels = 0;  // channels of a head, at most 64
  int mask_windows = 0;                                  // 0: no mask
  int bias_chunks = 1;                                   // of windows, see bias_gradient
  float scale = 1;
  DeviceRows<const T> q, k, v;
  const float* bias = nullptr;              // (heads, tokens, tokens)
  const signed char* mask = nullptr;        // (mask_windows, tokens, tokens), none above 0
  const signed char* mask_least = nullptr;  // (mask_windows): the lowest; 0: adds nothing
  DeviceRows<T> out;
  // (windows, heads, 2, tokens): forward leaves the logarithm of a query's sum, backward its delta
  float* softmax = nullptr;
  DeviceRows<const T> out_gradient;
  DeviceRows<T> q_gradient, k_gradient, v_gradient;
  // (bias_chunks, heads, tokens, tokens), zeroed. What the windows of a chunk give is added up in
  // their order; one chunk: by atomic additions, in any order.
  float* bias_gradient = nullptr;
};

// A thread a query, or a key, in float32.
void forward_cuda(const DeviceProblem<float>& problem, void* stream);
void backward_cuda(const DeviceProblem<float>& problem, void* stream);

// Products on tensor cores, sums in float32; weights and their gradients are rounded to bfloat16
// before they are multiplied (FlashAttention-2, Dao 2023, arXiv:2307.08691).
void forward_cuda(const DeviceProblem<Bf16>& problem, void* stream);
void backward_cuda(const DeviceProblem<Bf16>& problem, void* stream);

}  // namespace attention
}  // namespace model
}  // namespace homolog

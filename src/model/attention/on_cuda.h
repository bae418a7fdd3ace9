// Window attention on a GPU behind plain pointers, so that no Torch header meets nvcc. C++17. Every
// pointer is device memory, `stream` a cudaStream_t; calls return at once. Without CUDA compiled in
// they throw Fault::Environment.
#pragma once

#include <cstdint>

namespace homolog {
namespace model {
namespace attention {

// Rows of channels, adjacent in memory; strides in elements.
template <class T>
struct DeviceRows {
  T* data = nullptr;
  std::int64_t window = 0, token = 0, head = 0;
};

struct DeviceProblem {
  int windows = 0, heads = 0, tokens = 0, channels = 0;  // channels of a head, at most 64
  int mask_windows = 0;                                  // 0: no mask
  float scale = 1;
  DeviceRows<const float> q, k, v;
  const float* bias = nullptr;  // (heads, tokens, tokens)
  const float* mask = nullptr;  // (mask_windows, tokens, tokens)
  DeviceRows<float> out;
  float* softmax = nullptr;  // (windows, heads, 2, tokens): largest score and sum
  DeviceRows<const float> out_gradient;
  DeviceRows<float> q_gradient, k_gradient, v_gradient;
  float* bias_gradient = nullptr;  // (heads, tokens, tokens), zeroed
};

void forward_cuda(const DeviceProblem& problem, void* stream);
// `repeats`: the bias's gradient is summed over windows in their order, and not by atomic
// additions.
void backward_cuda(const DeviceProblem& problem, bool repeats, void* stream);

}  // namespace attention
}  // namespace model
}  // namespace homolog

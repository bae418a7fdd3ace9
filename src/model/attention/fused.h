// Window attention as one operator with its own backward: no table of windows x heads x scores is
// made or kept, and the bias gets its gradient. CPU and CUDA; on the meta device shapes alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace homolog::model::attention {

// softmax(q k^T / sqrt(D) + bias + mask) v, per window and head.
//   q, k, v (W, N, H, D), any strides, float32, bfloat16 or float16; bias (H, N, N); mask (V, N,
//   N), of these formats or int8 (none above 0), with W a multiple of V, or undefined. Returns (W,
//   N, H*D) in q's format.
// Queries may come from elsewhere than keys and values, as many of them. Computed in float32; on a
// GPU products of bfloat16 on tensor cores, all sums and the softmax in float32.
// Backward keeps the arguments, the result and two numbers per query; second derivatives throw
// Fault::Usage. Nothing is returned where a plain form has to serve: other shapes, formats or
// devices, D beyond 64, a mask that needs a gradient, on the CPU one that holds more than one value
// besides 0, on a GPU one that is not int8.
std::optional<at::Tensor> fused(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD,
                                const at::Tensor& v_WNHD, const at::Tensor& bias_HNN,
                                const at::Tensor& mask_VNN);

}  // namespace homolog::model::attention

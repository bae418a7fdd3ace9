// Window attention on a GPU: tensors to the kernels of their format. On the meta device shapes
// alone: what `homolog plan` counts.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/attention/on_cpu.h"

namespace homolog::model::attention {

// What a GPU computes these in: bfloat16 where all are that and channels come in pairs, else
// float32.
at::ScalarType format_on_gpu(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD,
                             const at::Tensor& v_WNHD);

// Whether a GPU reads bfloat16 rows as they lie: pairs of channels, at addresses of 4 bytes.
bool has_paired_rows(const at::Tensor& t_WNHD);

// Both int8; undefined where there is no mask.
struct DeviceMask {
  at::Tensor values_VNN;  // contiguous, none above 0
  at::Tensor least_V;     // the lowest of each window: windows of 0 are not read
};

// q, k, v of one of these formats, and their result, too; of bfloat16 with paired rows. bias
// float32, contiguous. The mask of `in` is not read.
Outputs forward_on_gpu(const Inputs& in, const DeviceMask& mask);
// gradient: as q. In deterministic mode bit for bit the same each time.
Gradients backward_on_gpu(const Inputs& in, const DeviceMask& mask, const Outputs& out,
                          const at::Tensor& gradient_WNHD);

}  // namespace homolog::model::attention

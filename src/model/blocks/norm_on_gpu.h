// The norm with its activation on a GPU: tensors to the kernels of their format (norm_maps.h),
// float32 or bfloat16, contiguous, all of one format. On the meta device shapes alone.
#pragma once

#include <ATen/core/Tensor.h>

namespace homolog::model {

// x in place -> rstd (B*C), float32. shortcut may be undefined.
at::Tensor normalise_on_gpu(const at::Tensor& x_BCXYZ, const at::Tensor& shortcut_BCXYZ,
                            double slope, double epsilon);

// Into of_x and, where it is defined, of_shortcut.
void gradients_on_gpu(const at::Tensor& y_BCXYZ, const at::Tensor& shortcut_BCXYZ,
                      const at::Tensor& rstd_N, const at::Tensor& of_y_BCXYZ, double slope,
                      const at::Tensor& of_x_BCXYZ, const at::Tensor& of_shortcut_BCXYZ);

}  // namespace homolog::model

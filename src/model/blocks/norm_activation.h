// An instance norm, a shortcut and a leaky ReLU as one operator that keeps no map for backward but
// its output, which whatever comes next keeps anyway: the leaky ReLU can be inverted, and the
// norm's gradient needs the normed values alone (In-Place Activated BatchNorm, Rota Bulò et al.
// 2018, arXiv:1712.02616, for instance norms and with a shortcut).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace homolog::model {

// leaky(norm(x) + shortcut) in x's memory: x may not be used again. The norm is that of each row
// and channel over the voxels (biased variance, epsilon 1e-5), without weights. `shortcut` may be
// undefined, and is brought to x's format; `slope` is above 0, and 1 for no activation. Nothing,
// with x as it was, where torch's own operators must do: not float32 (on a GPU, not bfloat16
// either), not a contiguous map of its own. A second derivative throws Fault::Usage.
std::optional<at::Tensor> norm_activation(const at::Tensor& x_BCXYZ,
                                          const at::Tensor& shortcut_BCXYZ, double slope);

}  // namespace homolog::model

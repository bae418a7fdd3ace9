// The formulas are those of torch.utils.flop_counter, but for the backward pass of fused attention,
// which makes the scores anew: five products, where plain attention has four.
#include "census/operator_cost.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

namespace homolog::census {
namespace {

using Inputs = c10::ArrayRef<const c10::IValue>;

double numbers(const at::Tensor& t) { return static_cast<double>(t.numel()); }

// Each output voxel meets one kernel: a transposed convolution is the same seen from its input.
double convolution(const at::Tensor& grid, const at::Tensor& weight) {
  return 2 * numbers(grid) / static_cast<double>(grid.size(1)) * numbers(weight);
}

double product(const at::Tensor& a, const at::Tensor& b) {  // (…, m, k) x (…, k, n)
  return 2 * numbers(a) * static_cast<double>(b.size(-1));
}

// q (…, L, D), k (…, S, D): one product of the two.
double scores(const at::Tensor& q, std::int64_t keys) {
  return 2 * numbers(q) * static_cast<double>(keys);
}

OperatorCost convolution_forward(Inputs in) {
  const at::Tensor x = in[0].toTensor(), weight = in[1].toTensor();
  if (in[6].toBool()) return {convolution(x, weight)};
  // Output voxels per input voxel: from the sizes, as the operator finds them.
  double voxels = static_cast<double>(x.size(0));
  const auto stride = in[3].toDimVector(), padding = in[4].toDimVector(),
             dilation = in[5].toDimVector();
  for (std::int64_t a = 2; a < x.dim(); ++a) {
    const auto at_axis = [&](const c10::DimVector& v) {
      return v.size() == 1 ? v[0] : v[static_cast<std::size_t>(a - 2)];
    };
    const std::int64_t reach = at_axis(dilation) * (weight.size(a) - 1);
    voxels *=
        static_cast<double>((x.size(a) + 2 * at_axis(padding) - reach - 1) / at_axis(stride) + 1);
  }
  return {2 * voxels * numbers(weight)};
}

OperatorCost convolution_backward(Inputs in) {
  const at::Tensor gradient = in[0].toTensor(), x = in[1].toTensor(), weight = in[2].toTensor();
  const auto wanted = in[10].toBoolList();
  const double one = convolution(in[7].toBool() ? x : gradient, weight);
  return {one * ((wanted[0] ? 1 : 0) + (wanted[1] ? 1 : 0))};
}

}  // namespace

double bytes_of(const at::Tensor& t) {
  if (!t.defined() || !t.has_storage()) return 0;
  const double own = numbers(t) * static_cast<double>(t.element_size());
  return std::min(own, static_cast<double>(t.storage().nbytes()));
}

std::optional<OperatorCost> cost_of(std::string_view name, Inputs in) {
  const auto tensor = [&](std::size_t i) { return in[i].toTensor(); };
  if (name == "aten::convolution") return convolution_forward(in);
  if (name == "aten::convolution_backward") return convolution_backward(in);
  if (name == "aten::mm" || name == "aten::bmm") return OperatorCost{product(tensor(0), tensor(1))};
  if (name == "aten::addmm" || name == "aten::baddbmm")
    return OperatorCost{product(tensor(1), tensor(2))};
  if (name == "aten::scaled_dot_product_attention")
    return OperatorCost{2 * scores(tensor(0), tensor(1).size(-2))};
  if (name == "homolog::attention_backward") {
    return OperatorCost{5 * scores(tensor(0), tensor(1).size(-2)),
                        bytes_of(tensor(0)) + bytes_of(tensor(1)) + bytes_of(tensor(2))};
  }
  if (name.starts_with("aten::_scaled_dot_product") && name.ends_with("_backward"))
    return OperatorCost{5 * scores(tensor(1), tensor(2).size(-2))};
  // q (W, N, H, D): keys on the second axis.
  if (name == "homolog::window_attention")
    return OperatorCost{2 * scores(tensor(0), tensor(1).size(1)), bytes_of(tensor(0))};
  if (name == "homolog::window_attention_backward")
    return OperatorCost{5 * scores(tensor(0), tensor(1).size(1)), 3 * bytes_of(tensor(0))};
  // A norm reads its maps twice, for their sums and for the result. in[1]: the shortcut.
  if (name == "homolog::norm_activation") return OperatorCost{0, 2 * bytes_of(tensor(0))};
  if (name == "homolog::norm_activation_backward") {
    const double shortcut = bytes_of(tensor(1));
    return OperatorCost{0, 3 * bytes_of(tensor(0)) + 2 * shortcut};
  }
  return std::nullopt;
}

}  // namespace homolog::census

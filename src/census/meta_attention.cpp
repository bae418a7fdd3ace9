#include "census/meta_attention.h"

#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/empty.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <vector>

namespace homolog::census {
namespace {

using at::Tensor;
using torch::autograd::variable_list;

Tensor result(const Tensor& q, const Tensor& v) {  // (…, L, D) and (…, S, E): (…, L, E)
  std::vector<std::int64_t> shape(q.sizes().begin(), q.sizes().end());
  shape.back() = v.size(-1);
  return at::empty(shape, q.options().requires_grad(false));
}

class Fused : public torch::autograd::Function<Fused> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& q, const Tensor& k,
                        const Tensor& v) {
    const Tensor out = result(q, v);
    const Tensor sums = at::empty(q.sizes().slice(0, q.dim() - 1), q.options());
    context->save_for_backward({q, k, v, out, sums});
    return out;
  }
  static variable_list backward(torch::autograd::AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list s = context->get_saved_variables();
    RECORD_FUNCTION("homolog::attention_backward",
                    std::vector<c10::IValue>({s[0], s[1], s[2], s[3], gradients[0]}));
    const auto like = [](const Tensor& t) {
      return at::empty(t.sizes(), t.options().requires_grad(false));
    };
    return {like(s[0]), like(s[1]), like(s[2])};
  }
};

}  // namespace

Tensor attention_without_graph(const Tensor& q, const Tensor& /*k*/, const Tensor& v,
                               const std::optional<Tensor>& /*mask*/, double /*dropout*/,
                               bool /*causal*/, std::optional<double> /*scale*/, bool /*gqa*/) {
  return result(q, v);
}

Tensor attention_with_graph(const Tensor& q, const Tensor& k, const Tensor& v,
                            const std::optional<Tensor>& mask, double dropout, bool causal,
                            std::optional<double> scale, bool gqa) {
  const bool graph = at::GradMode::is_enabled();
  if (graph && mask.has_value() && mask->requires_grad()) {  // the library falls back to products
    return std::get<0>(at::_scaled_dot_product_attention_math(q, k, v, mask, dropout, causal,
                                                              std::nullopt, scale, gqa));
  }
  if (!graph) return result(q, v);
  return Fused::apply(q, k, v);
}

}  // namespace homolog::census

#include "model/blocks/norm_activation.h"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "model/blocks/norm_on_gpu.h"
#include "model/blocks/norm_rows.h"

namespace homolog::model {
namespace {

constexpr float kEpsilon = 1e-5F;

// What a loop over maps needs of a tensor that may be undefined.
struct Maps {
  float* data = nullptr;
  std::int64_t voxels = 0;
  explicit Maps(const at::Tensor& t_BCXYZ, std::int64_t each)
      : data(t_BCXYZ.defined() ? t_BCXYZ.data_ptr<float>() : nullptr), voxels(each) {}
  float* at(std::int64_t map) const { return data == nullptr ? nullptr : data + map * voxels; }
};

std::int64_t voxels_of(const at::Tensor& x_BCXYZ) {
  return x_BCXYZ.size(2) * x_BCXYZ.size(3) * x_BCXYZ.size(4);
}

at::Tensor normalise(const at::Tensor& x_BCXYZ, const at::Tensor& shortcut_BCXYZ, double slope) {
  if (!x_BCXYZ.is_cpu()) return normalise_on_gpu(x_BCXYZ, shortcut_BCXYZ, slope, kEpsilon);
  const std::int64_t maps = x_BCXYZ.size(0) * x_BCXYZ.size(1), voxels = voxels_of(x_BCXYZ);
  at::Tensor rstd_N = torch::empty({maps}, x_BCXYZ.options());
  const Maps x(x_BCXYZ, voxels), shortcut(shortcut_BCXYZ, voxels);
  float* const rstd = rstd_N.data_ptr<float>();
  at::parallel_for(0, maps, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t m = begin; m < end; ++m)
      rstd[m] = normalise_row(x.at(m), shortcut.at(m), voxels, static_cast<float>(slope), kEpsilon);
  });
  return rstd_N;
}

// of_shortcut_BCXYZ may be undefined.
void gradients_on_cpu(const at::Tensor& y_BCXYZ, const at::Tensor& shortcut_BCXYZ,
                      const at::Tensor& rstd_N, const at::Tensor& of_y_BCXYZ, double slope,
                      const at::Tensor& of_x_BCXYZ, const at::Tensor& of_shortcut_BCXYZ) {
  const std::int64_t voxels = voxels_of(y_BCXYZ);
  const Maps y(y_BCXYZ, voxels), shortcut(shortcut_BCXYZ, voxels), gradient(of_y_BCXYZ, voxels),
      of_x(of_x_BCXYZ, voxels), of_shortcut(of_shortcut_BCXYZ, voxels);
  const float* const rstd = rstd_N.data_ptr<float>();
  at::parallel_for(0, rstd_N.numel(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t m = begin; m < end; ++m)
      row_gradients(y.at(m), shortcut.at(m), gradient.at(m), voxels, rstd[m],
                    static_cast<float>(slope), {of_x.at(m), of_shortcut.at(m)});
  });
}

class NormActivation : public torch::autograd::Function<NormActivation> {
 public:
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  // An argument that is a tensor must be defined, an optional one may be empty.
  static at::Tensor forward(Context* context, const at::Tensor& x_BCXYZ,
                            const std::optional<at::Tensor>& maybe_shortcut_BCXYZ, double slope) {
    const at::Tensor shortcut_BCXYZ = maybe_shortcut_BCXYZ.value_or(at::Tensor());
    RECORD_FUNCTION("homolog::norm_activation",
                    std::vector<c10::IValue>({x_BCXYZ, shortcut_BCXYZ}));
    const at::Tensor rstd_N = normalise(x_BCXYZ, shortcut_BCXYZ, slope);
    context->mark_dirty({x_BCXYZ});
    context->save_for_backward({x_BCXYZ, shortcut_BCXYZ, rstd_N});
    context->saved_data["slope"] = slope;
    return x_BCXYZ;
  }

  static Tensors backward(Context* context, const Tensors& of_y) {
    if (at::GradMode::is_enabled()) {
      throw Error(Fault::Usage, "the norm with its activation has no second derivative",
                  "call backward without create_graph");
    }
    const Tensors saved = context->get_saved_variables();
    const at::Tensor &y_BCXYZ = saved[0], &shortcut_BCXYZ = saved[1], &rstd_N = saved[2];
    const at::Tensor of_y_BCXYZ = of_y[0].contiguous();
    RECORD_FUNCTION("homolog::norm_activation_backward",
                    std::vector<c10::IValue>({y_BCXYZ, shortcut_BCXYZ, of_y_BCXYZ}));
    const at::Tensor of_x_BCXYZ = torch::empty_like(y_BCXYZ);
    at::Tensor of_shortcut_BCXYZ;
    if (shortcut_BCXYZ.defined() && context->needs_input_grad(1))
      of_shortcut_BCXYZ = torch::empty_like(y_BCXYZ);
    const double slope = context->saved_data["slope"].toDouble();
    if (y_BCXYZ.is_cpu())
      gradients_on_cpu(y_BCXYZ, shortcut_BCXYZ, rstd_N, of_y_BCXYZ, slope, of_x_BCXYZ,
                       of_shortcut_BCXYZ);
    else
      gradients_on_gpu(y_BCXYZ, shortcut_BCXYZ, rstd_N, of_y_BCXYZ, slope, of_x_BCXYZ,
                       of_shortcut_BCXYZ);
    return {of_x_BCXYZ, of_shortcut_BCXYZ, {}};
  }
};

// On the meta device, too, where `homolog plan` counts what is kept.
bool is_served(const at::Tensor& t_BCXYZ) {
  const bool bf16 = t_BCXYZ.scalar_type() == torch::kBFloat16;
  if (!bf16 && t_BCXYZ.scalar_type() != torch::kFloat) return false;
  if (!t_BCXYZ.is_contiguous()) return false;
  return t_BCXYZ.is_cpu() ? !bf16 : t_BCXYZ.is_cuda() || t_BCXYZ.is_meta();
}

}  // namespace

std::optional<at::Tensor> norm_activation(const at::Tensor& x_BCXYZ,
                                          const at::Tensor& any_shortcut_BCXYZ, double slope) {
  // Where x is bfloat16, a norm before may have left float32.
  const at::Tensor shortcut_BCXYZ =
      any_shortcut_BCXYZ.defined() ? any_shortcut_BCXYZ.to(x_BCXYZ.scalar_type()) : at::Tensor();
  if (!is_served(x_BCXYZ) || x_BCXYZ.is_view() || (x_BCXYZ.is_leaf() && x_BCXYZ.requires_grad()))
    return std::nullopt;
  if (shortcut_BCXYZ.defined() &&
      (!is_served(shortcut_BCXYZ) || shortcut_BCXYZ.sizes() != x_BCXYZ.sizes()))
    return std::nullopt;
  if (!at::GradMode::is_enabled()) {
    normalise(x_BCXYZ, shortcut_BCXYZ, slope);
    return x_BCXYZ;
  }
  const std::optional<at::Tensor> shortcut =
      shortcut_BCXYZ.defined() ? std::optional(shortcut_BCXYZ) : std::nullopt;
  return NormActivation::apply(x_BCXYZ, shortcut, slope);
}

}  // namespace homolog::model

// See fused.h.
#include "model/attention/fused.h"

#include <ATen/record_function.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "base/error.h"
#include "model/attention/on_cpu.h"
#include "model/attention/on_gpu.h"

namespace homolog::model::attention {
namespace {

// Channels adjacent; a view where it is of this format and lies as its kernels read it.
at::Tensor as_rows(const at::Tensor& t_WNHD, at::ScalarType format) {
  const at::Tensor rows_WNHD = t_WNHD.to(format);
  const bool fits =
      format == torch::kFloat ? rows_WNHD.stride(-1) == 1 : has_paired_rows(rows_WNHD);
  return fits ? rows_WNHD : rows_WNHD.clone(at::MemoryFormat::Contiguous);
}

Inputs inputs_of(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD, const at::Tensor& v_WNHD,
                 const at::Tensor& bias_HNN, const PackedMask& mask) {
  const at::ScalarType format =
      q_WNHD.is_cpu() ? torch::kFloat : format_on_gpu(q_WNHD, k_WNHD, v_WNHD);
  return {as_rows(q_WNHD, format),
          as_rows(k_WNHD, format),
          as_rows(v_WNHD, format),
          bias_HNN.to(torch::kFloat).contiguous(),
          mask,
          1.0 / std::sqrt(static_cast<double>(q_WNHD.size(-1)))};
}

// The mask as bits, which the CPU reads, or as it is, for a GPU. Not arguments of the operator,
// which must be defined.
struct Mask {
  PackedMask bits;
  DeviceMask dense;
};

class Attention : public torch::autograd::Function<Attention> {
 public:
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  static at::Tensor forward(Context* context, const at::Tensor& q_WNHD, const at::Tensor& k_WNHD,
                            const at::Tensor& v_WNHD, const at::Tensor& bias_HNN, const Mask& mask,
                            bool learns) {
    // One operator to profilers, too.
    RECORD_FUNCTION("homolog::window_attention",
                    std::vector<c10::IValue>({q_WNHD, k_WNHD, v_WNHD, bias_HNN}));
    const Inputs in = inputs_of(q_WNHD, k_WNHD, v_WNHD, bias_HNN, mask.bits);
    const c10::OptionalDeviceGuard on_device(q_WNHD.device());
    const Outputs out = q_WNHD.is_cpu() ? forward_on_cpu(in, learns, kernel_here())
                                        : forward_on_gpu(in, mask.dense);
    const at::Tensor result_WNHD = out.out_WNHD.to(q_WNHD.scalar_type());
    if (learns) {
      context->save_for_backward({q_WNHD, k_WNHD, v_WNHD, bias_HNN, mask.dense.values_VNN,
                                  mask.bits.of_queries, mask.bits.of_keys, mask.bits.any,
                                  out.softmax, out.out_WNHD, mask.dense.least_V});
      context->saved_data["value"] = mask.bits.value;
    }
    return result_WNHD;
  }

  static Tensors backward(Context* context, const Tensors& gradients) {
    if (at::GradMode::is_enabled()) {
      throw Error(Fault::Usage, "window attention has no second derivative",
                  "call backward without create_graph");
    }
    const Tensors s = context->get_saved_variables();
    RECORD_FUNCTION("homolog::window_attention_backward",
                    std::vector<c10::IValue>({s[0], s[1], s[2], s[3], s[9], gradients[0]}));
    const PackedMask mask{s[5], s[6], s[7], context->saved_data["value"].toDouble()};
    const Inputs in = inputs_of(s[0], s[1], s[2], s[3], mask);
    const Outputs out{s[9], s[8]};
    const at::Tensor gradient_WNHD = as_rows(gradients[0], in.q_WNHD.scalar_type());
    const c10::OptionalDeviceGuard on_device(s[0].device());
    const Gradients d = s[0].is_cpu() ? backward_on_cpu(in, out, gradient_WNHD, kernel_here())
                                      : backward_on_gpu(in, {s[4], s[10]}, out, gradient_WNHD);
    return {d.q_WNHD.to(s[0].scalar_type()),
            d.k_WNHD.to(s[1].scalar_type()),
            d.v_WNHD.to(s[2].scalar_type()),
            d.bias_HNN.to(s[3].scalar_type()),
            {},
            {}};
  }
};

bool has_shapes(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD, const at::Tensor& v_WNHD,
                const at::Tensor& bias_HNN, const at::Tensor& mask_VNN) {
  const std::int64_t n = q_WNHD.size(1), heads = q_WNHD.size(2);
  if (k_WNHD.sizes() != q_WNHD.sizes() || v_WNHD.sizes() != q_WNHD.sizes()) return false;
  if (bias_HNN.sizes() != at::IntArrayRef({heads, n, n})) return false;
  if (!mask_VNN.defined()) return true;
  const std::int64_t windows = mask_VNN.size(0);
  return mask_VNN.sizes() == at::IntArrayRef({windows, n, n}) && windows > 0 &&
         q_WNHD.size(0) % windows == 0;
}

bool has_format(const at::Tensor& t) {
  const at::ScalarType type = t.scalar_type();
  return type == torch::kFloat || type == torch::kBFloat16 || type == torch::kHalf;
}

}  // namespace

std::optional<at::Tensor> fused(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD,
                                const at::Tensor& v_WNHD, const at::Tensor& bias_HNN,
                                const at::Tensor& mask_VNN) {
  const bool on_cpu = q_WNHD.is_cpu();
  if (!on_cpu && !q_WNHD.is_cuda() && !q_WNHD.is_meta()) return std::nullopt;
  if (q_WNHD.size(-1) > kMostChannels || q_WNHD.numel() == 0) return std::nullopt;
  if (!has_shapes(q_WNHD, k_WNHD, v_WNHD, bias_HNN, mask_VNN)) return std::nullopt;
  for (const at::Tensor* t : {&q_WNHD, &k_WNHD, &v_WNHD, &bias_HNN})
    if (!has_format(*t)) return std::nullopt;
  if (mask_VNN.defined() && (mask_VNN.requires_grad() ||
                             !(has_format(mask_VNN) || mask_VNN.scalar_type() == torch::kChar)))
    return std::nullopt;

  const bool learns =
      at::GradMode::is_enabled() && (q_WNHD.requires_grad() || k_WNHD.requires_grad() ||
                                     v_WNHD.requires_grad() || bias_HNN.requires_grad());
  if (!on_cpu) {
    DeviceMask dense;
    if (mask_VNN.defined()) {
      if (mask_VNN.scalar_type() != torch::kChar) return std::nullopt;
      dense = {mask_VNN.contiguous(), mask_VNN.flatten(1).amin(1)};
    }
    return Attention::apply(q_WNHD, k_WNHD, v_WNHD, bias_HNN, Mask{{}, dense}, learns).flatten(2);
  }
  const at::Tensor dense_VNN =
      mask_VNN.defined() ? mask_VNN.to(torch::kFloat).contiguous() : mask_VNN;
  const std::optional<PackedMask> mask = pack_mask(dense_VNN, kernel_here(), learns);
  if (!mask) return std::nullopt;
  return Attention::apply(q_WNHD, k_WNHD, v_WNHD, bias_HNN, Mask{*mask, {}}, learns).flatten(2);
}

}  // namespace homolog::model::attention

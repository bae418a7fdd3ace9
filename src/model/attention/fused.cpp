// See fused.h.
#include "model/attention/fused.h"

#include <ATen/Context.h>
#include <ATen/record_function.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "base/error.h"
#include "model/attention/on_cpu.h"
#include "model/attention/on_cuda.h"

namespace homolog::model::attention {
namespace {

// float32 with channels adjacent; a view where it is that already.
at::Tensor as_rows(const at::Tensor& t_WNHD) {
  const at::Tensor wide_WNHD = t_WNHD.to(torch::kFloat);
  return wide_WNHD.stride(-1) == 1 ? wide_WNHD : wide_WNHD.contiguous();
}

Inputs inputs_of(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD, const at::Tensor& v_WNHD,
                 const at::Tensor& bias_HNN, const PackedMask& mask) {
  return {as_rows(q_WNHD),
          as_rows(k_WNHD),
          as_rows(v_WNHD),
          bias_HNN.to(torch::kFloat).contiguous(),
          mask,
          1.0 / std::sqrt(static_cast<double>(q_WNHD.size(-1)))};
}

template <class T>
DeviceRows<T> device_rows(const at::Tensor& t_WNHD) {
  return {t_WNHD.data_ptr<float>(), t_WNHD.stride(0), t_WNHD.stride(1), t_WNHD.stride(2)};
}

// mask_VNN may be undefined.
DeviceProblem device_problem(const Inputs& in, const at::Tensor& mask_VNN, const Outputs& out) {
  DeviceProblem p;
  p.windows = static_cast<int>(in.q_WNHD.size(0));
  p.tokens = static_cast<int>(in.q_WNHD.size(1));
  p.heads = static_cast<int>(in.q_WNHD.size(2));
  p.channels = static_cast<int>(in.q_WNHD.size(3));
  p.scale = static_cast<float>(in.scale);
  p.q = device_rows<const float>(in.q_WNHD);
  p.k = device_rows<const float>(in.k_WNHD);
  p.v = device_rows<const float>(in.v_WNHD);
  p.bias = in.bias_HNN.const_data_ptr<float>();
  if (mask_VNN.defined()) {
    p.mask = mask_VNN.const_data_ptr<float>();
    p.mask_windows = static_cast<int>(mask_VNN.size(0));
  }
  p.out = device_rows<float>(out.out_WNHD);
  p.softmax = out.softmax.data_ptr<float>();
  return p;
}

void* stream_of(const at::Device& device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

Outputs forward_on_gpu(const Inputs& in, const at::Tensor& mask_VNN) {
  const auto options = in.q_WNHD.options();
  const Outputs out{
      torch::empty(in.q_WNHD.sizes(), options),
      torch::empty({in.q_WNHD.size(0), in.q_WNHD.size(2), 2, in.q_WNHD.size(1)}, options)};
  if (in.q_WNHD.is_meta()) return out;  // shapes alone: what `homolog plan` counts
  forward_cuda(device_problem(in, mask_VNN, out), stream_of(in.q_WNHD.device()));
  return out;
}

Gradients backward_on_gpu(const Inputs& in, const at::Tensor& mask_VNN, const Outputs& out,
                          const at::Tensor& gradient_WNHD) {
  const auto options = in.q_WNHD.options();
  const auto like_q = [&] { return torch::empty(in.q_WNHD.sizes(), options); };
  Gradients d{like_q(), like_q(), like_q(), torch::zeros(in.bias_HNN.sizes(), options)};
  if (in.q_WNHD.is_meta()) return d;
  DeviceProblem p = device_problem(in, mask_VNN, out);
  p.out_gradient = device_rows<const float>(gradient_WNHD);
  p.q_gradient = device_rows<float>(d.q_WNHD);
  p.k_gradient = device_rows<float>(d.k_WNHD);
  p.v_gradient = device_rows<float>(d.v_WNHD);
  p.bias_gradient = d.bias_HNN.data_ptr<float>();
  backward_cuda(p, at::globalContext().deterministicAlgorithms(), stream_of(in.q_WNHD.device()));
  return d;
}

// The mask as bits, which the CPU reads, or as it is, for a GPU. Not arguments of the operator,
// which must be defined.
struct Mask {
  PackedMask bits;
  at::Tensor dense_VNN;
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
                                        : forward_on_gpu(in, mask.dense_VNN);
    const at::Tensor result_WNHD = out.out_WNHD.to(q_WNHD.scalar_type());
    if (learns) {
      context->save_for_backward({q_WNHD, k_WNHD, v_WNHD, bias_HNN, mask.dense_VNN,
                                  mask.bits.of_queries, mask.bits.of_keys, mask.bits.any,
                                  out.softmax, out.out_WNHD});
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
    const at::Tensor gradient_WNHD = as_rows(gradients[0]);
    const c10::OptionalDeviceGuard on_device(s[0].device());
    const Gradients d = s[0].is_cpu() ? backward_on_cpu(in, out, gradient_WNHD, kernel_here())
                                      : backward_on_gpu(in, s[4], out, gradient_WNHD);
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
  const at::Tensor dense_VNN =
      mask_VNN.defined() ? mask_VNN.to(torch::kFloat).contiguous() : mask_VNN;
  if (!on_cpu) {
    return Attention::apply(q_WNHD, k_WNHD, v_WNHD, bias_HNN, Mask{{}, dense_VNN}, learns)
        .flatten(2);
  }
  const std::optional<PackedMask> mask = pack_mask(dense_VNN, kernel_here(), learns);
  if (!mask) return std::nullopt;
  return Attention::apply(q_WNHD, k_WNHD, v_WNHD, bias_HNN, Mask{*mask, {}}, learns).flatten(2);
}

}  // namespace homolog::model::attention

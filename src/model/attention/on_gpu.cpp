// See on_gpu.h.
#include "model/attention/on_gpu.h"

#include <ATen/Context.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

#include "model/attention/on_cuda.h"
#include "model/device_stream.h"

namespace homolog::model::attention {
namespace {

template <class T>
DeviceRows<T> device_rows(const at::Tensor& t_WNHD) {
  return {static_cast<T*>(t_WNHD.data_ptr()), t_WNHD.stride(0), t_WNHD.stride(1), t_WNHD.stride(2)};
}

// Chunks of windows that a repeatable gradient of the bias is added up in, side by side.
std::int64_t bias_chunks(std::int64_t windows) {
  if (!at::globalContext().deterministicAlgorithms()) return 1;
  constexpr std::int64_t kMost = 32, kWindows = 8;  // chunks; windows of one at least
  return std::clamp<std::int64_t>(windows / kWindows, 2, kMost);
}

template <class T>
DeviceProblem<T> problem_of(const Inputs& in, const DeviceMask& mask, const Outputs& out) {
  DeviceProblem<T> p;
  p.windows = static_cast<int>(in.q_WNHD.size(0));
  p.tokens = static_cast<int>(in.q_WNHD.size(1));
  p.heads = static_cast<int>(in.q_WNHD.size(2));
  p.channels = static_cast<int>(in.q_WNHD.size(3));
  p.scale = static_cast<float>(in.scale);
  p.q = device_rows<const T>(in.q_WNHD);
  p.k = device_rows<const T>(in.k_WNHD);
  p.v = device_rows<const T>(in.v_WNHD);
  p.bias = in.bias_HNN.const_data_ptr<float>();
  if (mask.values_VNN.defined()) {
    p.mask = mask.values_VNN.const_data_ptr<std::int8_t>();
    p.mask_least = mask.least_V.const_data_ptr<std::int8_t>();
    p.mask_windows = static_cast<int>(mask.values_VNN.size(0));
  }
  p.out = device_rows<T>(out.out_WNHD);
  p.softmax = out.softmax.data_ptr<float>();
  return p;
}

template <class T>
void backward(const Inputs& in, const DeviceMask& mask, const Outputs& out,
              const at::Tensor& gradient_WNHD, const Gradients& d, const at::Tensor& bias_CHNN) {
  DeviceProblem<T> p = problem_of<T>(in, mask, out);
  p.out_gradient = device_rows<const T>(gradient_WNHD);
  p.q_gradient = device_rows<T>(d.q_WNHD);
  p.k_gradient = device_rows<T>(d.k_WNHD);
  p.v_gradient = device_rows<T>(d.v_WNHD);
  p.bias_gradient = bias_CHNN.data_ptr<float>();
  p.bias_chunks = static_cast<int>(bias_CHNN.size(0));
  backward_cuda(p, stream_of(in.q_WNHD.device()));
}

}  // namespace

at::ScalarType format_on_gpu(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD,
                             const at::Tensor& v_WNHD) {
  for (const at::Tensor* t : {&q_WNHD, &k_WNHD, &v_WNHD})
    if (t->scalar_type() != torch::kBFloat16) return torch::kFloat;
  return q_WNHD.size(-1) % 2 == 0 ? torch::kBFloat16 : torch::kFloat;
}

bool has_paired_rows(const at::Tensor& t_WNHD) {
  for (int axis = 0; axis < 3; ++axis)
    if (t_WNHD.stride(axis) % 2 != 0) return false;
  return t_WNHD.stride(3) == 1 && t_WNHD.storage_offset() % 2 == 0;
}

Outputs forward_on_gpu(const Inputs& in, const DeviceMask& mask) {
  const at::Tensor& q = in.q_WNHD;
  const Outputs out{
      torch::empty(q.sizes(), q.options()),
      torch::empty({q.size(0), q.size(2), 2, q.size(1)}, q.options().dtype(torch::kFloat))};
  if (q.is_meta()) return out;
  void* const stream = stream_of(q.device());
  if (q.scalar_type() == torch::kBFloat16)
    forward_cuda(problem_of<Bf16>(in, mask, out), stream);
  else
    forward_cuda(problem_of<float>(in, mask, out), stream);
  return out;
}

Gradients backward_on_gpu(const Inputs& in, const DeviceMask& mask, const Outputs& out,
                          const at::Tensor& gradient_WNHD) {
  const auto like_q = [&] { return torch::empty(in.q_WNHD.sizes(), in.q_WNHD.options()); };
  Gradients d{like_q(), like_q(), like_q(), {}};
  if (in.q_WNHD.is_meta()) {
    d.bias_HNN = torch::empty_like(in.bias_HNN);
    return d;
  }
  const at::IntArrayRef sizes = in.bias_HNN.sizes();
  const at::Tensor bias_CHNN = torch::zeros(
      {bias_chunks(in.q_WNHD.size(0)), sizes[0], sizes[1], sizes[2]}, in.bias_HNN.options());
  if (in.q_WNHD.scalar_type() == torch::kBFloat16)
    backward<Bf16>(in, mask, out, gradient_WNHD, d, bias_CHNN);
  else
    backward<float>(in, mask, out, gradient_WNHD, d, bias_CHNN);
  d.bias_HNN = bias_CHNN.size(0) == 1 ? bias_CHNN.squeeze(0) : bias_CHNN.sum(0);
  return d;
}

}  // namespace homolog::model::attention

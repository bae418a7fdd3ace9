// See on_gpu.h.
#include "model/attention/on_gpu.h"

#include <ATen/Context.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "model/attention/on_cuda.h"
#include "model/device_stream.h"

namespace homolog::model::attention {
namespace {

template <class T>
DeviceRows<T> device_rows(const at::Tensor& t_WNHD) {
  return {static_cast<T*>(t_WNHD.data_ptr()), t_WNHD.stride(0), t_WNHD.stride(1), t_WNHD.stride(2)};
}

// mask_VNN may be undefined.
template <class T>
DeviceProblem<T> problem_of(const Inputs& in, const at::Tensor& mask_VNN, const Outputs& out) {
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
  if (mask_VNN.defined()) {
    p.mask = mask_VNN.const_data_ptr<float>();
    p.mask_windows = static_cast<int>(mask_VNN.size(0));
  }
  p.out = device_rows<T>(out.out_WNHD);
  p.softmax = out.softmax.data_ptr<float>();
  return p;
}

template <class T>
void backward(const Inputs& in, const at::Tensor& mask_VNN, const Outputs& out,
              const at::Tensor& gradient_WNHD, const Gradients& d) {
  DeviceProblem<T> p = problem_of<T>(in, mask_VNN, out);
  p.out_gradient = device_rows<const T>(gradient_WNHD);
  p.q_gradient = device_rows<T>(d.q_WNHD);
  p.k_gradient = device_rows<T>(d.k_WNHD);
  p.v_gradient = device_rows<T>(d.v_WNHD);
  p.bias_gradient = d.bias_HNN.data_ptr<float>();
  backward_cuda(p, at::globalContext().deterministicAlgorithms(), stream_of(in.q_WNHD.device()));
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

Outputs forward_on_gpu(const Inputs& in, const at::Tensor& mask_VNN) {
  const at::Tensor& q = in.q_WNHD;
  const Outputs out{
      torch::empty(q.sizes(), q.options()),
      torch::empty({q.size(0), q.size(2), 2, q.size(1)}, q.options().dtype(torch::kFloat))};
  if (q.is_meta()) return out;
  void* const stream = stream_of(q.device());
  if (q.scalar_type() == torch::kBFloat16)
    forward_cuda(problem_of<Bf16>(in, mask_VNN, out), stream);
  else
    forward_cuda(problem_of<float>(in, mask_VNN, out), stream);
  return out;
}

Gradients backward_on_gpu(const Inputs& in, const at::Tensor& mask_VNN, const Outputs& out,
                          const at::Tensor& gradient_WNHD) {
  const auto like_q = [&] { return torch::empty(in.q_WNHD.sizes(), in.q_WNHD.options()); };
  Gradients d{like_q(), like_q(), like_q(), torch::zeros_like(in.bias_HNN)};
  if (in.q_WNHD.is_meta()) return d;
  if (in.q_WNHD.scalar_type() == torch::kBFloat16)
    backward<Bf16>(in, mask_VNN, out, gradient_WNHD, d);
  else
    backward<float>(in, mask_VNN, out, gradient_WNHD, d);
  return d;
}

}  // namespace homolog::model::attention

// The CUDA kernels of window attention, thread by thread on a CPU, against autograd of the
// definition in double.
#include <cuda_runtime.h>

#include "model/attention/on_cuda.h"
#include "tests/unit/model/attention_claims.h"

namespace homolog::model {
namespace {

using attention::DeviceProblem;
using attention::DeviceRows;

template <class T>
constexpr torch::ScalarType kFormat = std::is_same_v<T, Bf16> ? torch::kBFloat16 : torch::kFloat;

template <class T, class Data>
DeviceRows<Data> rows(const torch::Tensor& t_WNHD) {
  return {static_cast<Data*>(t_WNHD.data_ptr()), t_WNHD.stride(0), t_WNHD.stride(1),
          t_WNHD.stride(2)};
}

// Rounded to T, so that the definition sees what the kernels see.
template <class T>
AttentionArguments rounded(const AttentionCase& c) {
  torch::manual_seed(7);
  AttentionArguments a(c);
  for (torch::Tensor* t : {&a.qkv_WN3HD, &a.weight_WNHD}) *t = t->to(kFormat<T>).to(torch::kFloat);
  return a;
}

template <class T>
AttentionResults by_kernels(const AttentionArguments& a, int bias_chunks) {
  const torch::Tensor qkv = a.qkv_WN3HD.to(kFormat<T>), gradient = a.weight_WNHD.to(kFormat<T>);
  const auto split = qkv.unbind(2);
  const auto like = [&] { return torch::full_like(gradient, NAN); };
  const torch::Tensor out = like(), dq = like(), dk = like(), dv = like(),
                      bias_gradient =
                          torch::zeros_like(a.bias_HNN).expand({bias_chunks, -1, -1, -1}).clone(),
                      softmax = torch::full({out.size(0), out.size(2), 2, out.size(1)}, NAN);
  DeviceProblem<T> p;
  p.windows = static_cast<int>(out.size(0));
  p.tokens = static_cast<int>(out.size(1));
  p.heads = static_cast<int>(out.size(2));
  p.channels = static_cast<int>(out.size(3));
  p.scale = 1 / std::sqrt(static_cast<float>(p.channels));
  p.q = rows<T, const T>(split[0]);
  p.k = rows<T, const T>(split[1]);
  p.v = rows<T, const T>(split[2]);
  p.bias = a.bias_HNN.data_ptr<float>();
  torch::Tensor least_V;
  if (a.mask_VNN.defined()) {
    least_V = a.mask_VNN.flatten(1).amin(1);
    p.mask = a.mask_VNN.data_ptr<std::int8_t>();
    p.mask_least = least_V.data_ptr<std::int8_t>();
    p.mask_windows = static_cast<int>(a.mask_VNN.size(0));
  }
  p.out = rows<T, T>(out);
  p.softmax = softmax.data_ptr<float>();
  attention::forward_cuda(p, nullptr);
  p.out_gradient = rows<T, const T>(gradient);
  p.q_gradient = rows<T, T>(dq);
  p.k_gradient = rows<T, T>(dk);
  p.v_gradient = rows<T, T>(dv);
  p.bias_gradient = bias_gradient.data_ptr<float>();
  p.bias_chunks = bias_chunks;
  attention::backward_cuda(p, nullptr);
  return {{out, dq, dk, dv, bias_gradient.sum(0)}};
}

// Sums in float32; bfloat16 holds 8 bits, weights and results are rounded to it.
template <class T>
constexpr double kNear = std::is_same_v<T, Bf16> ? 1.5e-2 : 1e-5;

template <class T>
void expect_definition(const AttentionCase& c) {
  SCOPED_TRACE(std::to_string(c.tokens) + " tokens, " + std::to_string(c.channels) +
               " channels, mask of " + std::to_string(c.mask_windows));
  const AttentionArguments arguments = rounded<T>(c);
  const AttentionResults want = defined_attention(arguments);
  for (const auto schedule :
       {kernels_on_cpu::Schedule::Forwards, kernels_on_cpu::Schedule::Backwards}) {
    kernels_on_cpu::set_schedule(schedule);
    for (const int bias_chunks : {1, 2, 3})
      expect_near(by_kernels<T>(arguments, bias_chunks), want, kNear<T>);
  }
}

template <class T>
class WindowAttentionKernels : public testing::Test {};
using Formats = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(WindowAttentionKernels, Formats);

TYPED_TEST(WindowAttentionKernels, EqualTheDefinitionForHeadsOf8To64Channels) {
  for (const std::int64_t channels : {8, 16, 24, 32, 48, 64})
    expect_definition<TypeParam>({.windows = 1, .tokens = 64, .channels = channels});
}

TYPED_TEST(WindowAttentionKernels, EqualTheDefinitionForWindowsOfSides2To7) {
  for (const std::int64_t side : {2, 3, 4, 5})
    expect_definition<TypeParam>({.tokens = side * side * side, .mask_windows = 2});
  expect_definition<TypeParam>({.windows = 1, .heads = 1, .tokens = 343, .mask_windows = 1});
}

TYPED_TEST(WindowAttentionKernels, EqualTheDefinitionForLargeScores) {
  expect_definition<TypeParam>({.tokens = 64, .mask_windows = 2, .spread = 3});
}

}  // namespace
}  // namespace homolog::model

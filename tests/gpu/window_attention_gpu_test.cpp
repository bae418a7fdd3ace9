// The CUDA kernels of window attention against autograd of the definition in double.
#include <ATen/Context.h>

#include "model/attention/fused.h"
#include "tests/gpu/on_gpu.h"
#include "tests/unit/model/attention_claims.h"

namespace homolog::model {
namespace {

using WindowAttentionGpu = OnGpu;

AttentionResults on_gpu(const AttentionArguments& a, torch::ScalarType format = torch::kFloat) {
  const torch::Tensor qkv = a.qkv_WN3HD.to(torch::kCUDA, format).requires_grad_();
  const torch::Tensor bias = a.bias_HNN.to(torch::kCUDA).requires_grad_();
  const auto split = qkv.unbind(2);
  const torch::Tensor mask = a.mask_VNN.defined() ? a.mask_VNN.to(torch::kCUDA) : torch::Tensor();
  const auto out = attention::fused(split[0], split[1], split[2], bias, mask);
  if (!out) throw std::logic_error("the operator should serve this");
  const torch::Tensor out_WNHD = out->view(a.weight_WNHD.sizes());
  (out_WNHD * a.weight_WNHD.to(torch::kCUDA, format)).sum().backward();
  const auto d = qkv.grad().cpu().unbind(2);
  return {{out_WNHD.detach().cpu(), d[0], d[1], d[2], bias.grad().cpu()}};
}

// Arguments as bfloat16 holds them: results differ by the rounding of weights and of themselves.
void expect_definition_in_bf16(const AttentionCase& c) {
  torch::manual_seed(7);
  AttentionArguments arguments(c);
  for (torch::Tensor* t : {&arguments.qkv_WN3HD, &arguments.weight_WNHD})
    *t = t->to(torch::kBFloat16).to(torch::kFloat);
  SCOPED_TRACE(std::to_string(c.tokens) + " tokens, " + std::to_string(c.channels) + " channels");
  expect_near(on_gpu(arguments, torch::kBFloat16), defined_attention(arguments), 1.5e-2);
}

void expect_definition(const AttentionCase& c) {
  torch::manual_seed(7);
  const AttentionArguments arguments(c);
  SCOPED_TRACE(std::to_string(c.tokens) + " tokens, " + std::to_string(c.channels) +
               " channels, mask of " + std::to_string(c.mask_windows));
  expect_near(on_gpu(arguments), defined_attention(arguments), 1e-5);
}

class Deterministic {
 public:
  Deterministic() { at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true); }
  ~Deterministic() { at::globalContext().setDeterministicAlgorithms(before_, false); }

 private:
  bool before_ = at::globalContext().deterministicAlgorithms();
};

TEST_F(WindowAttentionGpu, EqualsTheDefinitionForHeadsOf8To64Channels) {
  for (const std::int64_t channels : {3, 8, 16, 24, 32, 48, 64}) {
    for (const std::int64_t masks : {0, 2})
      expect_definition({.tokens = 64, .channels = channels, .mask_windows = masks});
  }
}

TEST_F(WindowAttentionGpu, EqualsTheDefinitionForWindowsOfSides2To8) {
  for (const std::int64_t side : {2, 3, 4, 5, 6, 7, 8}) {
    for (const std::int64_t masks : {0, 2})
      expect_definition({.tokens = side * side * side, .mask_windows = masks});
  }
}

TEST_F(WindowAttentionGpu, EqualsTheDefinitionAndItselfInDeterministicMode) {
  const Deterministic mode;
  expect_definition({.windows = 8, .heads = 3, .tokens = 125, .mask_windows = 4});
  const AttentionArguments arguments({.windows = 8, .heads = 3, .tokens = 125});
  const AttentionResults once = on_gpu(arguments), again = on_gpu(arguments);
  for (std::size_t i = 0; i < once.tensors.size(); ++i)
    EXPECT_TRUE(torch::equal(once.tensors[i], again.tensors[i])) << AttentionResults::kNames[i];
}

TEST_F(WindowAttentionGpu, EqualsTheDefinitionInBfloat16) {
  for (const std::int64_t channels : {3, 8, 16, 24, 32, 48, 64})
    expect_definition_in_bf16({.tokens = 64, .channels = channels, .mask_windows = 2});
  for (const std::int64_t side : {2, 3, 5, 7, 8})
    expect_definition_in_bf16({.windows = 4, .tokens = side * side * side, .mask_windows = 2});
}

TEST_F(WindowAttentionGpu, RepeatsItselfInBfloat16InDeterministicMode) {
  const Deterministic mode;
  const AttentionCase c{.windows = 8, .heads = 3, .tokens = 125, .mask_windows = 4};
  expect_definition_in_bf16(c);
  const AttentionArguments arguments(c);
  const AttentionResults once = on_gpu(arguments, torch::kBFloat16),
                         again = on_gpu(arguments, torch::kBFloat16);
  for (std::size_t i = 0; i < once.tensors.size(); ++i)
    EXPECT_TRUE(torch::equal(once.tensors[i], again.tensors[i])) << AttentionResults::kNames[i];
}

TEST_F(WindowAttentionGpu, StaysNearTheDefinitionForLargeScores) {
  torch::manual_seed(7);
  const AttentionArguments arguments({.tokens = 343, .mask_windows = 2, .spread = 6});
  expect_near(on_gpu(arguments), defined_attention(arguments), 1e-4);
}

}  // namespace
}  // namespace homolog::model

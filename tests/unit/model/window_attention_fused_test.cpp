// The operator as networks call it: formats, layouts, what it keeps, and what it leaves to others.
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "base/error.h"
#include "model/attention/fused.h"
#include "model/blocks/window_attention.h"
#include "tests/unit/model/attention_claims.h"
#include "tests/unit/model/operators_watched.h"

namespace homolog::model {
namespace {

using attention::fused;

// Result and gradients through autograd; `cast` is applied to q, k and v.
AttentionResults through_autograd(const AttentionArguments& a,
                                  at::ScalarType format = torch::kFloat) {
  const torch::Tensor qkv = a.qkv_WN3HD.detach().clone().requires_grad_();
  const torch::Tensor bias = a.bias_HNN.detach().clone().requires_grad_();
  const auto split = qkv.to(format).unbind(2);
  const auto out = fused(split[0], split[1], split[2], bias, a.mask_VNN);
  if (!out) throw std::logic_error("the operator should serve this");
  EXPECT_EQ(out->scalar_type(), format);
  const torch::Tensor out_WNHD = out->view(a.weight_WNHD.sizes());
  (out_WNHD.to(torch::kFloat) * a.weight_WNHD).sum().backward();
  const auto d = qkv.grad().unbind(2);
  return {{out_WNHD.detach(), d[0], d[1], d[2], bias.grad()}};
}

TEST(FusedAttention, ReadsSlicesOfOneProjectionAndGivesTheBiasItsGradient) {
  const AttentionArguments arguments({.windows = 4, .heads = 3, .tokens = 64, .mask_windows = 2});
  expect_near(through_autograd(arguments), defined_attention(arguments), 4e-6);
}

TEST(FusedAttention, ComputesNarrowFormatsInFloat32) {
  for (const at::ScalarType format : {torch::kBFloat16, torch::kHalf}) {
    AttentionArguments arguments({.windows = 4, .heads = 2, .tokens = 27, .mask_windows = 2});
    arguments.qkv_WN3HD = arguments.qkv_WN3HD.to(format).to(torch::kFloat);
    // What is left is the rounding of the result and of its gradient.
    expect_near(through_autograd(arguments, format), defined_attention(arguments), 8e-3);
  }
}

TEST(FusedAttention, TakesAMaskOfSmallIntegers) {
  AttentionArguments arguments({.windows = 4, .heads = 2, .tokens = 27, .mask_windows = 2});
  arguments.mask_VNN = (torch::rand({2, 27, 27}) < 0.3).to(torch::kFloat) * -100;
  const torch::NoGradGuard no_grad;
  const auto with = [&](at::ScalarType type) {
    return fused(arguments.q(), arguments.k(), arguments.v(), arguments.bias_HNN,
                 arguments.mask_VNN.to(type));
  };
  ASSERT_TRUE(with(torch::kChar));
  EXPECT_TRUE(torch::equal(*with(torch::kChar), *with(torch::kFloat)));
}

TEST(FusedAttention, TakesChannelsThatAreNotAdjacent) {
  const AttentionArguments arguments({.tokens = 27});
  const auto turned = [](const torch::Tensor& t) {
    return t.transpose(1, 3).contiguous().transpose(1, 3);
  };
  const torch::NoGradGuard no_grad;
  const auto out = fused(turned(arguments.q()), turned(arguments.k()), turned(arguments.v()),
                         arguments.bias_HNN.transpose(1, 2).contiguous().transpose(1, 2), {});
  ASSERT_TRUE(out);
  EXPECT_TRUE(torch::equal(
      *out, *fused(arguments.q(), arguments.k(), arguments.v(), arguments.bias_HNN, {})));
}

// Queries of their own, as in a skip block, with keys and values of a constant: gradients go where
// they are asked for alone.
TEST(FusedAttention, GivesEachArgumentItsOwnGradient) {
  const AttentionArguments arguments({.tokens = 27});
  const AttentionResults want = defined_attention(arguments);
  const torch::Tensor q = arguments.q().clone().requires_grad_();
  const auto out = fused(q, arguments.k(), arguments.v(), arguments.bias_HNN, {});
  (*out * arguments.weight_WNHD.flatten(2)).sum().backward();
  EXPECT_TRUE(torch::allclose(q.grad().to(torch::kDouble), want.tensors[1], 1e-4, 1e-5));
  EXPECT_FALSE(arguments.bias_HNN.grad().defined());
}

TEST(FusedAttention, ServesWindowAttentionInFloat32AndNotInDouble) {
  const AttentionArguments a({.tokens = 27, .mask_windows = 2});
  const auto attend = [&](at::ScalarType format) {
    const auto d = [&](const torch::Tensor& t) { return t.to(format); };
    const torch::Tensor bias = d(a.bias_HNN).requires_grad_();
    return window_attention(d(a.q()), d(a.k()), d(a.v()), bias, d(a.mask_VNN));
  };
  const OperatorsWatched watched;
  const torch::Tensor narrow = attend(torch::kFloat), exact = attend(torch::kDouble);
  EXPECT_TRUE(watched.gave("softmax", torch::kDouble));
  EXPECT_FALSE(watched.gave("softmax", torch::kFloat));
  EXPECT_TRUE(torch::allclose(narrow.to(torch::kDouble), exact, 1e-4, 1e-5));
}

TEST(FusedAttention, KeepsNothingOfTheSizeOfItsScores) {
  const AttentionCase c{.windows = 8, .heads = 2, .tokens = 216, .mask_windows = 4};
  const AttentionArguments arguments(c);
  const torch::Tensor qkv = arguments.qkv_WN3HD.requires_grad_();
  const auto split = qkv.unbind(2);
  struct Counting final : at::Allocator {  // of memory that lives
    at::Allocator* under = at::GetAllocator(at::kCPU);
    std::int64_t live = 0, most = 0;
    at::DataPtr allocate(std::size_t bytes) override {
      struct Block {
        at::DataPtr data;
        Counting* counting;
        std::int64_t bytes;
      };
      auto* block = new Block{under->allocate(bytes), this, static_cast<std::int64_t>(bytes)};
      live += block->bytes;
      most = std::max(most, live);
      return {block->data.get(), block,
              [](void* p) {
                auto* gone = static_cast<Block*>(p);
                gone->counting->live -= gone->bytes;
                delete gone;
              },
              at::kCPU};
    }
    void copy_data(void* to, const void* from, std::size_t bytes) const override {
      default_copy_data(to, from, bytes);
    }
  };
  static Counting counting;  // tensors outlive the test's scope
  at::SetAllocator(at::kCPU, &counting, 1);
  const auto out = fused(split[0], split[1], split[2], arguments.bias_HNN, arguments.mask_VNN);
  const std::int64_t kept = counting.live, most = counting.most;
  at::SetAllocator(at::kCPU, counting.under, 1);
  ASSERT_TRUE(out);
  const std::int64_t scores = c.windows * c.heads * c.tokens * c.tokens * 4;
  const std::int64_t result = c.windows * c.heads * c.tokens * c.channels * 4;
  EXPECT_GE(kept, result) << "the allocator was not asked";
  EXPECT_LT(kept, scores / 4);
  EXPECT_LT(most, scores / 2);
}

TEST(FusedAttention, RefusesASecondDerivativeByName) {
  const AttentionArguments arguments({.tokens = 8});
  const torch::Tensor q = arguments.q().clone().requires_grad_();
  const auto out = fused(q, arguments.k(), arguments.v(), arguments.bias_HNN, {});
  try {
    torch::autograd::grad({out->sum()}, {q}, {}, std::nullopt, /*create_graph=*/true);
    FAIL() << "a gradient that cannot be differentiated was given";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Usage);
    EXPECT_THAT(error.summary(), ::testing::HasSubstr("second derivative"));
  }
}

TEST(FusedAttention, LeavesToOthersWhatItDoesNotServe) {
  const AttentionArguments a({.tokens = 8, .mask_windows = 2}), wide({.tokens = 8, .channels = 65});
  const auto serves = [](const AttentionArguments& x, const torch::Tensor& mask) {
    return fused(x.q(), x.k(), x.v(), x.bias_HNN, mask).has_value();
  };
  EXPECT_TRUE(serves(a, a.mask_VNN));
  EXPECT_FALSE(serves(a, torch::randn({2, 8, 8}))) << "a mask of many values";
  EXPECT_FALSE(serves(a, a.mask_VNN.to(torch::kFloat).requires_grad_()));
  EXPECT_FALSE(serves(wide, {})) << "65 channels";
  EXPECT_FALSE(fused(a.q().to(torch::kDouble), a.k().to(torch::kDouble), a.v().to(torch::kDouble),
                     a.bias_HNN.to(torch::kDouble), {}));
}

TEST(FusedAttention, IsNotFiniteNowhereWhenAllKeysAreMaskedByInfinity) {
  const AttentionArguments a({.windows = 1, .tokens = 27});
  const torch::Tensor mask = torch::zeros({1, 27, 27});
  mask[0][3].fill_(-std::numeric_limits<float>::infinity());
  mask[0][4].slice(0, 5).fill_(-std::numeric_limits<float>::infinity());
  const torch::Tensor out = *fused(a.q(), a.k(), a.v(), a.bias_HNN, mask);
  EXPECT_TRUE(out.isfinite().all().item<bool>());
  EXPECT_TRUE(torch::allclose(out[0][3], a.v()[0].mean(0).flatten(), 1e-4, 1e-5))
      << "keys that are all masked count alike";
  // The second query sees five keys.
  const torch::Tensor score =
      (a.q()[0][4].unsqueeze(0) * a.k()[0].slice(0, 0, 5)).sum(-1) / std::sqrt(8.0) +
      a.bias_HNN.select(1, 4).slice(1, 0, 5).transpose(0, 1);
  const torch::Tensor want = (score.softmax(0).unsqueeze(-1) * a.v()[0].slice(0, 0, 5)).sum(0);
  EXPECT_TRUE(torch::allclose(out[0][4], want.flatten(), 1e-4, 1e-5));
}

}  // namespace
}  // namespace homolog::model

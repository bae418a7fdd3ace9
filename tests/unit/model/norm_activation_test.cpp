// The norm with its activation against plain operators in double, through forward and backward.
#include "model/blocks/norm_activation.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <optional>
#include <vector>

#include "base/error.h"

namespace homolog::model {
namespace {

using torch::Tensor;

Tensor leaky(const Tensor& x, double slope) { return torch::where(x > 0, x, slope * x); }

Tensor plain(const Tensor& x, const Tensor& shortcut, double slope) {
  const Tensor flat = x.flatten(2), centred = flat - flat.mean(2, true);
  const Tensor normed = (centred / (centred.square().mean(2, true) + 1e-5).sqrt()).view(x.sizes());
  return leaky(shortcut.defined() ? normed + shortcut : normed, slope);
}

struct Case {
  const char* name;
  std::vector<std::int64_t> sizes;
  bool shortcut;
  double slope, scale, offset;
};

// Sizes with and without a rest to whole vectors, of one block of sums and of many.
const std::vector<Case> kCases = {{"Norm", {2, 3, 4, 5, 6}, false, 1, 2, 0},
                                  {"Activated", {2, 3, 4, 4, 4}, false, 0.01, 1, 1},
                                  {"WithShortcut", {1, 2, 3, 3, 3}, true, 0.01, 1, 0},
                                  {"TwoVoxels", {2, 2, 1, 1, 2}, true, 0.01, 1, 0},
                                  {"ManyBlocks", {1, 2, 17, 16, 15}, true, 0.01, 3, 2},
                                  {"FarFromZero", {1, 2, 16, 16, 16}, false, 0.01, 1, 1000}};

class NormActivation : public testing::TestWithParam<Case> {};

TEST_P(NormActivation, EqualsPlainOperatorsForwardAndBackward) {
  const Case& c = GetParam();
  torch::manual_seed(3);
  const Tensor x = (torch::randn(c.sizes) * c.scale + c.offset).requires_grad_();
  const Tensor shortcut = c.shortcut ? torch::randn(c.sizes).requires_grad_() : Tensor();
  const Tensor weight = torch::randn(c.sizes);

  const auto y = norm_activation(x.clone(), shortcut, c.slope);
  ASSERT_TRUE(y);
  (*y * weight).sum().backward();

  const Tensor x64 = x.detach().to(torch::kDouble).requires_grad_();
  const Tensor shortcut64 =
      c.shortcut ? shortcut.detach().to(torch::kDouble).requires_grad_() : Tensor();
  const Tensor want = plain(x64, shortcut64, c.slope);
  (want * weight).sum().backward();

  const double near = c.offset > 100 ? 2e-3 : 1e-4;  // float32 holds 1000.001 to 6e-5
  EXPECT_LT((*y - want).abs().max().item<double>(), near);
  EXPECT_LT((x.grad() - x64.grad()).abs().max().item<double>(),
            near * (0.01 + x64.grad().abs().max().item<double>()));
  if (c.shortcut) {
    EXPECT_LT((shortcut.grad() - shortcut64.grad()).abs().max().item<double>(), near);
  }
}

INSTANTIATE_TEST_SUITE_P(Maps, NormActivation, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(NormActivationMemory, IsThatOfItsInput) {
  const Tensor x = torch::randn({1, 2, 4, 4, 4}).requires_grad_() * 2;
  const auto y = norm_activation(x, {}, 0.01);
  ASSERT_TRUE(y);
  EXPECT_EQ(y->data_ptr(), x.data_ptr());
}

TEST(NormActivationMemory, AnOutputChangedAfterwardsIsRefusedInBackward) {
  const auto y = norm_activation(torch::randn({1, 2, 4, 4, 4}).requires_grad_() * 2, {}, 0.01);
  const Tensor sum = y->sum();
  y->mul_(2);
  EXPECT_THROW(sum.backward(), c10::Error);
}

TEST(NormActivationGradient, IsTheSameWithoutRecordingIt) {
  const Tensor x = torch::randn({2, 2, 4, 4, 4}), shortcut = torch::randn({2, 2, 4, 4, 4});
  const auto recorded = norm_activation(x.clone().requires_grad_() * 1, shortcut, 0.01);
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(*norm_activation(x.clone(), shortcut, 0.01), *recorded));
}

TEST(NormActivationGradient, ASecondDerivativeIsRefused) {
  const Tensor x = torch::randn({1, 1, 4, 4, 4}).requires_grad_();
  const auto y = norm_activation(x * 1, {}, 0.01);
  EXPECT_THROW(torch::autograd::grad({y->square().sum()}, {x}, {}, true, /*create_graph=*/true),
               Error);
}

TEST(NormActivationServes, ShapesAloneOnTheMetaDeviceInTheMemoryOfItsInput) {
  const Tensor x = torch::randn({1, 2, 4, 4, 4}, torch::kMeta).requires_grad_() * 2;
  const auto y = norm_activation(x, {}, 0.01);
  ASSERT_TRUE(y);
  EXPECT_TRUE(y->is_same(x));
  y->sum().backward();
}

TEST(NormActivationServes, OnlyFloatMapsOfTheirOwn) {
  const Tensor map = torch::randn({1, 2, 4, 4, 4});
  const torch::NoGradGuard no_grad;
  EXPECT_FALSE(norm_activation(map.to(torch::kDouble), {}, 0.01));
  EXPECT_FALSE(norm_activation(map.to(torch::kBFloat16), {}, 0.01));
  EXPECT_FALSE(norm_activation(map.slice(1, 0, 1), {}, 0.01));
  EXPECT_FALSE(norm_activation(map, torch::randn({1, 2, 4, 4, 1}), 0.01));
}

}  // namespace
}  // namespace homolog::model

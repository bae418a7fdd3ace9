// Window attention against its definition in double; windows cut and joined.
#include "model/blocks/window_attention.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "tests/unit/model/finite_difference.h"

namespace homolog::model {
namespace {

TEST(WindowGrid, JoinUndoesCutWithPaddingAndShift) {
  const WindowGrid grid{.size = {6, 5, 4}, .window = 4, .shift = 2};
  const torch::Tensor tokens = torch::rand({2, 120, 3});
  EXPECT_EQ(grid.cut(tokens).sizes(), at::IntArrayRef({2 * 4, 64, 3}));
  EXPECT_TRUE(torch::equal(grid.join(grid.cut(tokens)), tokens));
}

TEST(WindowGrid, JoinUndoesCutWithSidesAndShiftsThatDifferByAxis) {
  const WindowGrid grid{.size = {6, 5, 4}, .window = Size3{2, 3, 4}, .shift = Size3{1, 0, 0}};
  const torch::Tensor tokens = torch::rand({2, 120, 3});
  EXPECT_EQ(grid.cut(tokens).sizes(), at::IntArrayRef({2 * 3 * 2 * 1, 24, 3}));
  EXPECT_TRUE(torch::equal(grid.join(grid.cut(tokens)), tokens));
}

TEST(WindowGrid, AnAxisWithoutShiftIsNotSeparated) {
  const WindowGrid grid{.size = {8, 8, 8}, .window = 4, .shift = Size3{2, 0, 0}};
  const torch::Tensor mask = grid.shift_mask_VNN(torch::kFloat);
  EXPECT_EQ(mask[7][0][63].item<float>(), -100.0F) << "apart along x";
  EXPECT_EQ(mask[7][0][15].item<float>(), 0.0F) << "the same x, far apart along y and z";
}

TEST(WindowGrid, MaskSeparatesTokensThatOnlyTheRollBroughtTogether) {
  const WindowGrid grid{.size = {8, 8, 8}, .window = 4, .shift = 2};
  const torch::Tensor mask = grid.shift_mask_VNN(torch::kFloat);
  ASSERT_EQ(mask.sizes(), at::IntArrayRef({8, 64, 64}));
  EXPECT_EQ(mask[0].abs().max().item<float>(), 0.0F) << "the first window holds neighbours only";
  // In the last window the two halves of each axis come from opposite ends of the grid.
  EXPECT_EQ(mask[7][0][63].item<float>(), -100.0F);
  EXPECT_EQ(mask[7][0][1].item<float>(), 0.0F);
}

TEST(ShiftMask, IsThatOfTheGridAndFollowsIt) {
  ShiftMask mask;
  const torch::Tensor like = torch::rand({1});
  for (const Size3& size : {Size3{8, 8, 8}, Size3{8, 8, 4}}) {
    const WindowGrid grid{.size = size, .window = 4, .shift = 2};
    const torch::Tensor& kept = mask.of_VNN(grid, like);
    EXPECT_EQ(kept.scalar_type(), torch::kChar);
    EXPECT_TRUE(torch::equal(kept.to(torch::kFloat), grid.shift_mask_VNN(torch::kFloat)));
    EXPECT_EQ(mask.of_VNN(grid, like).data_ptr(), kept.data_ptr()) << "made once";
  }
  EXPECT_FALSE(mask.of_VNN({.size = {8, 8, 8}, .window = 4, .shift = 0}, like).defined());
}

TEST(RelativeIndex, ReachesTheMethodsMaximaAndOnlyExactIsInjective) {
  const torch::Tensor colliding = relative_index(4, false), exact = relative_index(4, true);
  EXPECT_EQ(colliding.max().item<std::int64_t>(), 114);
  EXPECT_EQ(relative_index(8, false).max().item<std::int64_t>(), 546);
  EXPECT_EQ(std::get<0>(at::_unique(colliding)).numel(), 115);
  EXPECT_EQ(std::get<0>(at::_unique(exact)).numel(), 343);
}

enum class Mask { None, OfShiftedWindows, OfManyValues };

torch::Tensor mask_VNN(Mask mask) {
  if (mask == Mask::None) return {};
  if (mask == Mask::OfManyValues) return torch::randn({4, 27, 27});
  return (torch::rand({4, 27, 27}) < 0.3).to(torch::kFloat) * -100;
}

TEST(WindowAttention, EqualsTheDefinitionWhicheverOperatorServes) {
  for (const Mask kind : {Mask::None, Mask::OfShiftedWindows, Mask::OfManyValues}) {
    const torch::Tensor q = torch::randn({8, 27, 2, 8}), k = torch::randn({8, 27, 2, 8}),
                        v = torch::randn({8, 27, 2, 8});
    torch::Tensor bias = torch::randn({2, 27, 27});
    const torch::Tensor mask = mask_VNN(kind);
    const auto d = [](const torch::Tensor& x) { return x.to(torch::kDouble).transpose(1, 2); };
    torch::Tensor score =
        d(q).matmul(d(k).transpose(-1, -2)) / std::sqrt(8.0) + bias.to(torch::kDouble);
    if (mask.defined()) score = score + mask.to(torch::kDouble).repeat({2, 1, 1}).unsqueeze(1);
    const torch::Tensor want =
        score.softmax(-1).matmul(d(v)).transpose(1, 2).reshape({8, 27, 16}).to(torch::kFloat);
    EXPECT_TRUE(torch::allclose(window_attention(q, k, v, bias, mask), want, 1e-4, 1e-5))
        << "fixed bias";
    bias.requires_grad_();
    EXPECT_TRUE(torch::allclose(window_attention(q, k, v, bias, mask), want, 1e-4, 1e-5))
        << "learnt bias";
  }
}

TEST(WindowAttention, GradientsEqualTheDefinitionsWhicheverOperatorServes) {
  for (const Mask kind : {Mask::None, Mask::OfShiftedWindows, Mask::OfManyValues}) {
    for (const bool learnt : {false, true}) {
      SCOPED_TRACE("mask " + std::to_string(static_cast<int>(kind)) + (learnt ? ", learnt" : ""));
      std::vector<torch::Tensor> in = {torch::randn({8, 27, 2, 8}), torch::randn({8, 27, 2, 8}),
                                       torch::randn({8, 27, 2, 8})};
      if (learnt) in.push_back(torch::randn({2, 27, 27}));
      std::vector<torch::Tensor> exact;
      for (torch::Tensor& x : in) {
        x.requires_grad_();
        exact.push_back(x.detach().to(torch::kDouble).requires_grad_());
      }
      const torch::Tensor fixed = torch::randn({2, 27, 27});
      const torch::Tensor mask = mask_VNN(kind);
      const torch::Tensor weight = torch::randn({8, 27, 16});
      (window_attention(in[0], in[1], in[2], learnt ? in[3] : fixed, mask) * weight)
          .sum()
          .backward();
      torch::Tensor score =
          exact[0].transpose(1, 2).matmul(exact[1].transpose(1, 2).transpose(-1, -2)) /
              std::sqrt(8.0) +
          (learnt ? exact[3] : fixed.to(torch::kDouble));
      if (mask.defined()) score = score + mask.to(torch::kDouble).repeat({2, 1, 1}).unsqueeze(1);
      (score.softmax(-1).matmul(exact[2].transpose(1, 2)).transpose(1, 2).reshape({8, 27, 16}) *
       weight)
          .sum()
          .backward();
      for (std::size_t i = 0; i < in.size(); ++i) {
        EXPECT_TRUE(torch::allclose(in[i].grad().to(torch::kDouble), exact[i].grad(), 1e-4, 2e-5))
            << "input " << i;
      }
    }
  }
}

TEST(WindowAttention, GradientsInDoubleEqualDifferences) {
  for (const bool learnt : {false, true}) {
    SCOPED_TRACE(learnt ? "plain" : "the library's");
    std::vector<torch::Tensor> in;
    for (int i = 0; i < 3; ++i)
      in.push_back(torch::randn({4, 8, 2, 3}, torch::kDouble).requires_grad_());
    torch::Tensor bias = torch::randn({2, 8, 8}, torch::kDouble);
    if (learnt) in.push_back(bias.requires_grad_());
    const torch::Tensor mask = (torch::rand({2, 8, 8}) < 0.3).to(torch::kDouble) * -100,
                        weight = torch::randn({4, 8, 6}, torch::kDouble);
    const auto value = [&] {
      return (window_attention(in[0], in[1], in[2], bias, mask) * weight).sum();
    };
    expect_slope_of_differences(value, in);
  }
}

}  // namespace
}  // namespace homolog::model

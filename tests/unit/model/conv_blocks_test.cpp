// Convolution blocks against plain operators; names and shapes of their state dicts.
#include "model/blocks/conv_blocks.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "tests/unit/model/finite_difference.h"

namespace homolog::model {
namespace {

std::vector<std::string> names(const torch::nn::Module& module) {
  return module.named_parameters().keys();
}

torch::Tensor normed(const torch::Tensor& x) {  // by its definition, in double
  const torch::Tensor flat = x.to(torch::kDouble).flatten(2);
  const torch::Tensor centred = flat - flat.mean(2, true);
  return (centred / (centred.square().mean(2, true) + 1e-5).sqrt()).view(x.sizes());
}

torch::Tensor leaky(const torch::Tensor& x) { return torch::where(x > 0, x, 0.01 * x); }

torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& weight) {
  return at::conv3d(x, weight.to(torch::kDouble), {}, 1, (weight.size(2) - 1) / 2);
}

TEST(InstanceNorm, TreatsEveryRowAndChannelAlone) {
  const torch::Tensor x = torch::randn({2, 3, 4, 5, 6}) * 3 + 1;
  EXPECT_TRUE(torch::allclose(instance_norm(x).to(torch::kDouble), normed(x), 1e-5, 1e-5));
  EXPECT_TRUE(torch::allclose(instance_norm(x).slice(0, 1), instance_norm(x.slice(0, 1))));
}

TEST(InstanceNorm, RefusesAMapOfOneVoxel) {
  EXPECT_THROW(instance_norm(torch::ones({2, 3, 1, 1, 1})), Error);
}

TEST(ConvPair, ResidualAddsTheInputThroughThePointwiseConvolution) {
  ConvPair pair(2, 3, /*residual=*/true);
  const auto p = pair->named_parameters();
  const torch::Tensor x = torch::randn({2, 2, 4, 4, 4}), wide = x.to(torch::kDouble);
  torch::Tensor want = leaky(normed(convolve(wide, p["conv1.conv.weight"])));
  want = normed(convolve(want, p["conv2.conv.weight"])) +
         normed(convolve(wide, p["conv3.conv.weight"]));
  EXPECT_TRUE(torch::allclose(pair(x).to(torch::kDouble), leaky(want), 1e-4, 1e-5));
}

TEST(ConvPair, ResidualOfEqualWidthAddsTheInputItselfAndLeavesItAsItWas) {
  ConvPair pair(2, 2, /*residual=*/true);
  const auto p = pair->named_parameters();
  EXPECT_EQ(names(*pair), std::vector<std::string>({"conv1.conv.weight", "conv2.conv.weight"}));
  const torch::Tensor x = torch::randn({1, 2, 4, 4, 4}), before = x.clone();
  const torch::Tensor wide = x.to(torch::kDouble);
  torch::Tensor want = leaky(normed(convolve(wide, p["conv1.conv.weight"])));
  want = leaky(normed(convolve(want, p["conv2.conv.weight"])) + wide);
  EXPECT_TRUE(torch::allclose(pair(x).to(torch::kDouble), want, 1e-4, 1e-5));
  EXPECT_TRUE(torch::equal(x, before));
}

TEST(ConvPair, PlainPairAddsNothing) {
  ConvPair pair(2, 3, /*residual=*/false);
  const auto p = pair->named_parameters();
  const torch::Tensor x = torch::randn({1, 2, 4, 4, 4});
  torch::Tensor want = leaky(normed(convolve(x.to(torch::kDouble), p["conv1.conv.weight"])));
  want = leaky(normed(convolve(want, p["conv2.conv.weight"])));
  EXPECT_TRUE(torch::allclose(pair(x).to(torch::kDouble), want, 1e-4, 1e-5));
}

TEST(ConvPair, GradientsEqualDifferencesThroughTheInPlaceActivations) {
  ConvPair pair(1, 2, /*residual=*/true);
  pair->to(torch::kDouble);
  std::vector<torch::Tensor> inputs{torch::randn({1, 1, 3, 3, 3}, torch::kDouble).requires_grad_()};
  for (const torch::Tensor& p : pair->parameters()) inputs.push_back(p);
  const torch::Tensor weight = torch::randn({1, 2, 3, 3, 3}, torch::kDouble);
  expect_slope_of_differences([&] { return (pair(inputs[0]) * weight).sum(); }, inputs);
}

TEST(UnetrUpBlock, DoublesTheSidesAndPutsTheSkipBehindTheMap) {
  UnetrUpBlock block(4, 2);
  const torch::Tensor below = torch::randn({1, 4, 2, 3, 2}), skip = torch::randn({1, 2, 4, 6, 4});
  EXPECT_EQ(block(below, skip).sizes(), skip.sizes());
  const torch::NoGradGuard no_grad;
  auto p = block->named_parameters();
  // Weights that read only the second half of the channels see only the skip map.
  for (const char* name : {"conv_block.conv1.conv.weight", "conv_block.conv3.conv.weight"}) {
    p[name].slice(1, 0, 2).zero_();
  }
  EXPECT_TRUE(torch::equal(block(below, skip), block(below * 2, skip)));
}

TEST(UnetrPrUpBlock, DoublesOncePerLayerAndOnceMore) {
  const torch::Tensor x = torch::randn({1, 6, 2, 1, 2});
  UnetrPrUpBlock with(6, 2, 2);
  EXPECT_EQ(with(x).sizes(), at::IntArrayRef({1, 2, 16, 8, 16}));
  EXPECT_EQ(names(*with), std::vector<std::string>(
                              {"transp_conv_init.conv.weight", "blocks.0.0.conv.weight",
                               "blocks.0.1.conv1.conv.weight", "blocks.0.1.conv2.conv.weight",
                               "blocks.1.0.conv.weight", "blocks.1.1.conv1.conv.weight",
                               "blocks.1.1.conv2.conv.weight"}));
  UnetrPrUpBlock without(6, 2, 1, /*conv_block=*/false);
  EXPECT_EQ(without(x).sizes(), at::IntArrayRef({1, 2, 8, 4, 8}));
  EXPECT_EQ(names(*without),
            std::vector<std::string>({"transp_conv_init.conv.weight", "blocks.0.conv.weight"}));
}

TEST(UnetOutBlock, IsAPointwiseConvolutionWithBias) {
  UnetOutBlock block(3, 2);
  EXPECT_EQ(names(*block), std::vector<std::string>({"conv.conv.weight", "conv.conv.bias"}));
  EXPECT_EQ(block(torch::ones({1, 3, 1, 2, 1})).sizes(), at::IntArrayRef({1, 2, 1, 2, 1}));
}

}  // namespace
}  // namespace homolog::model

// nnFormer's own: parameter counts, strides, small crops, heads. The rest: every_backbone_test.
#include "model/backbones/nnformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "tests/unit/model/tiny_network.h"

namespace homolog::model::nnformer {
namespace {

Plan tiny() { return {.embed = 8, .heads = {1, 2, 4, 8}}; }

std::int64_t count(const torch::nn::Module& module, const std::string& prefix = "") {
  std::int64_t n = 0;
  for (const auto& item : module.named_parameters()) {
    if (item.key().starts_with(prefix) && !item.key().ends_with("absolute_pos_embed"))
      n += item.value().numel();
  }
  return n;
}

TEST(NnFormer, HasTheParametersOfTheMethodAt64) {
  NnFormer network({}, {64, 64, 64});
  EXPECT_EQ(count(network), 9'725'763);
  EXPECT_EQ(count(network, "model_down."), 7'651'668);
  EXPECT_EQ(count(network, "decoder."), 2'071'404);
  EXPECT_EQ(count(network, "final."), 2'691);
}

TEST(NnFormer, HasTheParametersOfTheMethodAtFullCrop) {
  NnFormer network({}, {192, 192, 64});
  EXPECT_EQ(count(network), 9'725'763);
  EXPECT_EQ(network.named_parameters()["model_down.absolute_pos_embed"].size(1), 96 * 96 * 32);
}

TEST(NnFormer, ShrinksWindowsOnA32Crop) { EXPECT_EQ(count(NnFormer({}, {32, 32, 32})), 9'404'355); }

TEST(NnFormer, GivesQueriesAtASixteenthAndKeysAtAnEighth) {
  NnFormer network(tiny(), {48, 32, 64});
  network.eval();
  const auto out = network.run({torch::rand({2, 1, 48, 32, 64})}, {});
  EXPECT_EQ(out.encoder_BLC.sizes(), at::IntArrayRef({2, 3 * 2 * 4, 64}));
  EXPECT_EQ(out.decoder_BLC.sizes(), at::IntArrayRef({2, 6 * 4 * 8, 32}));
}

TEST(NnFormer, RefusesHeadsThatDoNotDivideTheChannelsByName) {
  Plan plan = tiny();
  plan.heads = {6, 12, 24, 48};
  const std::string why = backbone::tiny::refusal([&] { NnFormer(plan, {32, 32, 32}); });
  EXPECT_THAT(why, ::testing::HasSubstr("model.nnformer.heads"));
}

}  // namespace
}  // namespace homolog::model::nnformer

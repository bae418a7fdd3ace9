// UNETR's own: parameter counts, strides, heads, recognition, MONAI's form. The rest:
// every_backbone_test.
#include "model/backbones/unetr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/model/tiny_network.h"

namespace homolog::model::unetr {
namespace {

using backbone::Size3;
using backbone::tiny::count_parameters;

Plan tiny(bool blocks = true) {
  return {.encoder = {.hidden = 64, .mlp = 32, .heads = 1},
          .feature = 2,
          .res_block = blocks,
          .conv_block = blocks};
}

TEST(Unetr, HasMonaisNumberOfParameters) {
  EXPECT_EQ(count_parameters(Unetr({.outputs = 3}, {64, 64, 64})), 92'685'555);
  EXPECT_EQ(count_parameters(Unetr(
                {.encoder = {.hidden = 48, .mlp = 96, .heads = 4}, .feature = 4, .outputs = 2},
                {32, 32, 32})),
            600'490);
}

TEST(Unetr, GivesQueriesAtASixteenthAndKeysAtAnEighth) {
  for (const bool blocks : {true, false}) {
    Unetr network(tiny(blocks), {32, 16, 48});
    const auto out = network.run({torch::rand({2, 1, 32, 16, 48})}, {});
    EXPECT_EQ(out.encoder_BLC.sizes(), at::IntArrayRef({2, 2 * 1 * 3, 64}));
    EXPECT_EQ(out.decoder_BLC.sizes(), at::IntArrayRef({2, 4 * 2 * 6, 16}));
  }
}

TEST(Unetr, RefusesHeadsThatDoNotDivideTheWidthByName) {
  Plan plan = tiny();
  plan.encoder.heads = 7;
  const std::string why = backbone::tiny::refusal([&] { Unetr(plan, {32, 32, 32}); });
  EXPECT_THAT(why, ::testing::HasSubstr("model.unetr.heads"));
}

TEST(Unetr, TellsHowMonaiBuildsIt) {
  const auto form = Unetr(tiny(false), {32, 16, 48}).monai();
  EXPECT_EQ(form.network, "UNETR");
  const auto arguments = nlohmann::json::parse(form.arguments);
  EXPECT_EQ(arguments.at("img_size"), nlohmann::json({32, 16, 48}));
  EXPECT_EQ(arguments.at("out_channels"), 1);
  EXPECT_EQ(arguments.at("feature_size"), 2);
  EXPECT_FALSE(arguments.at("res_block"));
}

}  // namespace
}  // namespace homolog::model::unetr

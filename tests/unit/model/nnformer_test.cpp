// nnFormer: parameter counts, shapes, small crops, parts that are not run, stochastic depth.
#include "model/backbones/nnformer.h"

#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "model/backbone_entry.h"

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

TEST(NnFormer, GivesMapsOfTheMethodsShapesOnUnequalSides) {
  NnFormer network(tiny(), {48, 32, 64});
  network.eval();
  const auto out = network.run({torch::rand({2, 1, 48, 32, 64})}, {});
  EXPECT_EQ(out.cls_BC.sizes(), at::IntArrayRef({2, 64}));
  EXPECT_EQ(out.encoder_BLC.sizes(), at::IntArrayRef({2, 3 * 2 * 4, 64}));
  EXPECT_EQ(out.decoder_BLC.sizes(), at::IntArrayRef({2, 6 * 4 * 8, 32}));
  EXPECT_EQ(out.reconstruction_B1XYZ.sizes(), at::IntArrayRef({2, 1, 48, 32, 64}));
}

TEST(NnFormer, RunsOnACropItWasNotMadeFor) {
  NnFormer network(tiny(), {32, 32, 32});
  network.eval();
  const auto out = network.run({torch::rand({1, 1, 48, 32, 32})}, {});
  EXPECT_EQ(out.reconstruction_B1XYZ.sizes(), at::IntArrayRef({1, 1, 48, 32, 32}));
}

TEST(NnFormer, GivesGradientsToExactlyTheParametersItCallsUsed) {
  for (const backbone::Want want : {backbone::Want{true, true}, {true, false}, {false, false}}) {
    NnFormer network(tiny(), {32, 32, 32});
    const auto out = network.run({torch::rand({1, 1, 32, 32, 32})}, want);
    EXPECT_EQ(out.decoder_BLC.defined(), want.decoder);
    EXPECT_EQ(out.reconstruction_B1XYZ.defined(), want.reconstruction);
    torch::Tensor loss = out.cls_BC.square().sum();
    if (want.decoder) loss = loss + out.decoder_BLC.square().sum();
    if (want.reconstruction) loss = loss + out.reconstruction_B1XYZ.square().sum();
    loss.backward();
    for (const auto& item : network.named_parameters()) {
      EXPECT_EQ(item.value().grad().defined(), network.is_used(item.key(), want)) << item.key();
    }
  }
}

TEST(NnFormer, StochasticDepthFollowsTheRowsKeyAndNotItsPlace) {
  NnFormer network(
      [] {
        auto p = tiny();
        p.drop_path = 0.8;
        return p;
      }(),
      {32, 32, 32});
  const torch::Tensor rows = torch::rand({3, 1, 32, 32, 32});
  network.set_draws(RowDraws(7, {row_key(1, 5, 0), row_key(2, 5, 0), row_key(3, 5, 0)}));
  const torch::Tensor all = network.run({rows}, {}).cls_BC;
  network.set_draws(RowDraws(7, {row_key(3, 5, 0)}));
  const torch::Tensor alone = network.run({rows.slice(0, 2)}, {}).cls_BC;
  EXPECT_TRUE(torch::allclose(all.slice(0, 2), alone, 1e-4, 1e-5));
  network.set_draws(RowDraws(7, {row_key(3, 6, 0)}));
  EXPECT_FALSE(torch::allclose(network.run({rows.slice(0, 2)}, {}).cls_BC, alone, 1e-4, 1e-5));
}

TEST(NnFormer, EvaluationDrawsNothing) {
  NnFormer network(tiny(), {32, 32, 32});
  network.eval();
  const torch::Tensor image = torch::rand({1, 1, 32, 32, 32});
  EXPECT_TRUE(torch::equal(network.run({image}, {}).cls_BC, network.run({image}, {}).cls_BC));
}

TEST(NnFormer, RefusesCropsThatDoNotHalveFourTimes) {
  EXPECT_THROW(NnFormer(tiny(), {40, 32, 32}), Error);
  EXPECT_THROW(NnFormer(
                   [] {
                     auto p = tiny();
                     p.heads = {6, 12, 24, 48};
                     return p;
                   }(),
                   {32, 32, 32}),
               Error);
}

TEST(NnFormer, ResizedPositionTableKeepsAConstant) {
  const torch::Tensor table = torch::full({1, 8, 4}, 0.5);
  const torch::Tensor larger = resize_position_table(table, {2, 2, 2}, {3, 2, 4});
  EXPECT_EQ(larger.sizes(), at::IntArrayRef({1, 24, 4}));
  EXPECT_TRUE(torch::allclose(larger, torch::full({1, 24, 4}, 0.5)));
}

TEST(BackboneCatalog, FindsNnFormerAndNamesTheNearestOtherwise) {
  EXPECT_STREQ(backbone::find("nnformer").name, "nnformer");
  try {
    backbone::find("nnforner");
    FAIL() << "an unknown name must be refused";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
    EXPECT_NE(e.remedy().find("nnformer"), std::string::npos);
  }
}

}  // namespace
}  // namespace homolog::model::nnformer

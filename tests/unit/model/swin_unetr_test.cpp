// Swin UNETR: parameter counts, shapes, parts that are not run, rows, bad crops, recognition.
#include "model/backbones/swin_unetr.h"

#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <string>

#include "base/error.h"
#include "model/backbone_entry.h"
#include "model/weights/swin_unetr_names.h"

namespace homolog::model::swin {
namespace {

Plan tiny(bool v2 = false) {
  return {.feature = 12, .depths = {2, 1, 1, 1}, .heads = {1, 2, 3, 6}, .window = 4, .use_v2 = v2};
}

std::int64_t count(const torch::nn::Module& module) {
  std::int64_t n = 0;
  for (const torch::Tensor& p : module.parameters()) n += p.numel();
  return n;
}

backbone::NamedTensors state(const torch::nn::Module& module) {
  backbone::NamedTensors out;
  for (const auto& item : module.named_parameters()) out[item.key()] = item.value();
  for (const auto& item : module.named_buffers()) out[item.key()] = item.value();
  return out;
}

std::string refusal(const Plan& plan, const Size3& crop) {
  try {
    SwinUnetr network(plan, crop);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
    return std::string(e.what()) + " " + e.remedy();
  }
  return "accepted";
}

TEST(SwinUnetr, HasMonaisNumberOfParameters) {
  EXPECT_EQ(count(SwinUnetr({.feature = 24, .outputs = 3}, {64, 64, 64})), 15'703'029);
  EXPECT_EQ(count(SwinUnetr({.feature = 24, .use_v2 = true, .outputs = 3}, {64, 64, 64})),
            18'346'869);
}

TEST(SwinUnetr, KeepsTheIndexTablesOfTheStateDictAsBuffers) {
  SwinUnetr network(tiny(), {64, 32, 32});
  EXPECT_EQ(network.named_buffers().size(), 5u) << "one per block";
  const auto& index =
      network.named_buffers()["swinViT.layers1.0.blocks.0.attn.relative_position_index"];
  EXPECT_EQ(index.sizes(), at::IntArrayRef({64, 64}));
  EXPECT_EQ(index.scalar_type(), torch::kLong);
}

TEST(SwinUnetr, GivesMapsOnUnequalSides) {
  for (const bool v2 : {false, true}) {
    SwinUnetr network(tiny(v2), {64, 96, 32});
    network.eval();
    const auto out = network.run({torch::rand({2, 1, 64, 96, 32})}, {});
    EXPECT_EQ(out.cls_BC.sizes(), at::IntArrayRef({2, 192}));
    EXPECT_EQ(out.encoder_BLC.sizes(), at::IntArrayRef({2, 2 * 3 * 1, 192}));
    EXPECT_EQ(out.decoder_BLC.sizes(), at::IntArrayRef({2, 4 * 6 * 2, 96}));
    EXPECT_EQ(out.reconstruction_B1XYZ.sizes(), at::IntArrayRef({2, 1, 64, 96, 32}));
    EXPECT_EQ(network.spec().encoder_channels, 192);
    EXPECT_EQ(network.spec().decoder_channels, 96);
  }
}

TEST(SwinUnetr, GivesGradientsToExactlyTheParametersItCallsUsed) {
  for (const bool v2 : {false, true}) {
    for (const backbone::Want want : {backbone::Want{true, true}, {true, false}, {false, false}}) {
      SwinUnetr network(tiny(v2), {64, 32, 32});
      const auto out = network.run({torch::rand({1, 1, 64, 32, 32})}, want);
      EXPECT_EQ(out.decoder_BLC.defined(), want.decoder);
      EXPECT_EQ(out.reconstruction_B1XYZ.defined(), want.reconstruction);
      torch::Tensor loss = out.cls_BC.square().sum() + out.encoder_BLC.pow(3).sum();
      if (want.decoder) loss = loss + out.decoder_BLC.square().sum();
      if (want.reconstruction) loss = loss + out.reconstruction_B1XYZ.square().sum();
      loss.backward();
      for (const auto& item : network.named_parameters()) {
        EXPECT_EQ(item.value().grad().defined(), network.is_used(item.key(), want)) << item.key();
      }
    }
  }
}

TEST(SwinUnetr, RowsOfABatchDoNotMix) {
  SwinUnetr network(tiny(true), {64, 32, 32});
  const torch::NoGradGuard no_grad;
  const torch::Tensor rows = torch::rand({2, 1, 64, 32, 32});
  const auto both = network.run({rows}, {}), second = network.run({rows.slice(0, 1)}, {});
  EXPECT_TRUE(torch::allclose(both.cls_BC.slice(0, 1), second.cls_BC, 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(both.decoder_BLC.slice(0, 1), second.decoder_BLC, 1e-3, 1e-4));
  EXPECT_TRUE(torch::allclose(both.reconstruction_B1XYZ.slice(0, 1), second.reconstruction_B1XYZ,
                              1e-3, 1e-4));
}

TEST(SwinUnetr, SeesZerosWhereTheMaskHides) {
  SwinUnetr network(tiny(), {64, 32, 32});
  const torch::NoGradGuard no_grad;
  const torch::Tensor image = torch::rand({1, 1, 64, 32, 32});
  torch::Tensor visible = torch::ones_like(image);
  visible.slice(2, 16, 48).zero_();
  EXPECT_TRUE(torch::equal(network.run({image, visible, 0.5}, {}).cls_BC,
                           network.run({image * visible}, {}).cls_BC));
}

TEST(SwinUnetr, StochasticDepthFollowsTheRowsKeyAndNotItsPlace) {
  Plan plan = tiny();
  plan.drop_path = 0.8;
  SwinUnetr network(plan, {64, 32, 32});
  const backbone::Want encoder{false, false};
  const torch::Tensor rows = torch::rand({3, 1, 64, 32, 32});
  network.set_draws(RowDraws(7, {row_key(1, 5, 0), row_key(2, 5, 0), row_key(3, 5, 0)}));
  const torch::Tensor all = network.run({rows}, encoder).cls_BC;
  network.set_draws(RowDraws(7, {row_key(3, 5, 0)}));
  const torch::Tensor alone = network.run({rows.slice(0, 2)}, encoder).cls_BC;
  EXPECT_TRUE(torch::allclose(all.slice(0, 2), alone, 1e-4, 1e-5));
  network.set_draws(RowDraws(7, {row_key(3, 6, 0)}));
  EXPECT_FALSE(torch::allclose(network.run({rows.slice(0, 2)}, encoder).cls_BC, alone, 1e-4, 1e-5));
}

TEST(SwinUnetr, RefusesWhatItsNetworkCannotTake) {
  EXPECT_NE(refusal(tiny(), {48, 64, 64}).find("multiple of 32"), std::string::npos);
  EXPECT_NE(refusal(tiny(), {32, 32, 32}).find("one side of the crop as 64"), std::string::npos);
  EXPECT_EQ(refusal(tiny(), {32, 64, 32}), "accepted");
  EXPECT_NE(refusal({.feature = 20}, {64, 64, 64}).find("model.swin_unetr.feature"),
            std::string::npos);
  EXPECT_NE(refusal({.heads = {5, 6, 12, 24}}, {64, 64, 64}).find("model.swin_unetr.heads"),
            std::string::npos);
  EXPECT_NE(refusal({.depths = {2, 2, 2}}, {64, 64, 64}).find("model.swin_unetr.depths"),
            std::string::npos);
  SwinUnetr network(tiny(), {64, 32, 32});
  EXPECT_THROW(network.run({torch::rand({1, 1, 48, 64, 64})}, {}), Error);
}

TEST(SwinUnetr, RecognisesFromItsTensorsTheOptionsItWasBuiltWith) {
  Plan plan{.feature = 24, .depths = {1, 3, 2, 1}, .heads = {2, 4, 6, 8}, .window = 5};
  plan.use_v2 = true;
  const auto found =
      backbone::find("swin_unetr").factory()->recognise(state(SwinUnetr(plan, {64, 64, 64})));
  ASSERT_TRUE(found.has_value());
  const std::map<std::string, std::string> want{{"model.swin_unetr.feature", "24"},
                                                {"model.swin_unetr.depths", "1,3,2,1"},
                                                {"model.swin_unetr.heads", "2,4,6,8"},
                                                {"model.swin_unetr.window", "5"},
                                                {"model.swin_unetr.use_v2", "true"}};
  EXPECT_EQ(found->options, want);
  EXPECT_EQ(found->crop, (Size3{0, 0, 0}));
  EXPECT_EQ(
      recognise(state(SwinUnetr(tiny(), {64, 32, 32})))->options.at("model.swin_unetr.use_v2"),
      "false");
}

TEST(SwinUnetr, RecognisesNothingInOtherTensorsAndSaysWhatIsWrongWithItsOwn) {
  EXPECT_FALSE(recognise({{"conv1.weight", torch::ones({2, 2})}}).has_value());
  auto tensors = state(SwinUnetr(tiny(), {64, 32, 32}));
  const std::string table = "swinViT.layers3.0.blocks.0.attn.relative_position_bias_table";
  tensors[table] = torch::ones({342, 3});
  EXPECT_EQ(recognise(tensors)->misfits.at(0).what,
            "a window that is no cube: " + table + " has shape [342, 3], needs [(2w-1)^3, heads]");
  tensors.erase(table);
  EXPECT_EQ(recognise(tensors)->misfits.at(0).what.find(table + " has nothing"), 0U);
}

TEST(SwinUnetr, SaysHowMonaiBuildsIt) {
  const SwinUnetr network(tiny(true), {64, 32, 32});
  EXPECT_EQ(network.monai().network, "SwinUNETR");
  EXPECT_NE(network.monai().arguments.find("\"use_v2\":true"), std::string::npos);
  EXPECT_EQ(network.monai().own, "");
}

TEST(SwinWindows, ShrinkAndStopShiftingByAxis) {
  const WindowGrid grid = cut_windows({4, 8, 7}, 7, /*shifted=*/true);
  EXPECT_EQ(grid.window.axis, (Size3{4, 7, 7}));
  EXPECT_EQ(grid.shift.axis, (Size3{0, 3, 0}));
  EXPECT_FALSE(cut_windows({4, 7, 7}, 7, true).is_shifted());
  EXPECT_FALSE(cut_windows({8, 8, 8}, 7, false).is_shifted());
}

}  // namespace
}  // namespace homolog::model::swin

// Swin UNETR's own: parameter counts, index tables, strides, windows, what it refuses, recognition.
// The rest: every_backbone_test.
#include "model/backbones/swin_unetr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <string>

#include "model/parameter_names.h"
#include "model/weights/swin_unetr_names.h"
#include "tests/unit/model/tiny_network.h"

namespace homolog::model::swin {
namespace {

using ::testing::HasSubstr;

Plan tiny(bool v2 = false) {
  return {.feature = 12, .depths = {2, 1, 1, 1}, .heads = {1, 2, 3, 6}, .window = 4, .use_v2 = v2};
}

std::string refusal(const Plan& plan, const Size3& crop) {
  return backbone::tiny::refusal([&] { SwinUnetr(plan, crop); });
}

TEST(SwinUnetr, HasMonaisNumberOfParameters) {
  EXPECT_EQ(
      backbone::tiny::count_parameters(SwinUnetr({.feature = 24, .outputs = 3}, {64, 64, 64})),
      15'703'029);
  EXPECT_EQ(backbone::tiny::count_parameters(
                SwinUnetr({.feature = 24, .use_v2 = true, .outputs = 3}, {64, 64, 64})),
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

TEST(SwinUnetr, GivesQueriesAtAThirtySecondAndKeysAtASixteenth) {
  for (const bool v2 : {false, true}) {
    SwinUnetr network(tiny(v2), {64, 96, 32});
    network.eval();
    const auto out = network.run({torch::rand({2, 1, 64, 96, 32})}, {});
    EXPECT_EQ(out.encoder_BLC.sizes(), at::IntArrayRef({2, 2 * 3 * 1, 192}));
    EXPECT_EQ(out.decoder_BLC.sizes(), at::IntArrayRef({2, 4 * 6 * 2, 96}));
  }
}

TEST(SwinUnetr, RefusesWhatItsNetworkCannotTake) {
  EXPECT_THAT(refusal(tiny(), {48, 64, 64}), HasSubstr("multiple of 32"));
  EXPECT_THAT(refusal(tiny(), {32, 32, 32}), HasSubstr("one side of the crop as 64"));
  EXPECT_EQ(refusal(tiny(), {32, 64, 32}), "accepted");
  EXPECT_THAT(refusal({.feature = 20}, {64, 64, 64}), HasSubstr("model.swin_unetr.feature"));
  EXPECT_THAT(refusal({.heads = {5, 6, 12, 24}}, {64, 64, 64}),
              HasSubstr("model.swin_unetr.heads"));
  EXPECT_THAT(refusal({.depths = {2, 2, 2}}, {64, 64, 64}), HasSubstr("model.swin_unetr.depths"));
}

TEST(SwinUnetr, RecognisesFromItsTensorsTheOptionsItWasBuiltWith) {
  Plan plan{.feature = 24, .depths = {1, 3, 2, 1}, .heads = {2, 4, 6, 8}, .window = 5};
  plan.use_v2 = true;
  const auto found = backbone::find("swin_unetr")
                         .factory()
                         ->recognise(named_tensors(SwinUnetr(plan, {64, 64, 64})));
  ASSERT_TRUE(found.has_value());
  const std::map<std::string, std::string> want{
      {"model.swin_unetr.feature", "24"},    {"model.swin_unetr.depths", "1,3,2,1"},
      {"model.swin_unetr.heads", "2,4,6,8"}, {"model.swin_unetr.window", "5"},
      {"model.swin_unetr.use_v2", "true"},   {"model.swin_unetr.norm", "instance"}};
  EXPECT_EQ(found->options, want);
  EXPECT_EQ(found->crop, (Size3{0, 0, 0}));
  EXPECT_EQ(recognise(named_tensors(SwinUnetr(tiny(), {64, 32, 32})))
                ->options.at("model.swin_unetr.use_v2"),
            "false");
}

TEST(SwinUnetr, RecognisesNothingInOtherTensorsAndSaysWhatIsWrongWithItsOwn) {
  EXPECT_FALSE(recognise({{"conv1.weight", torch::ones({2, 2})}}).has_value());
  auto tensors = named_tensors(SwinUnetr(tiny(), {64, 32, 32}));
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
  EXPECT_THAT(network.monai().arguments, HasSubstr("\"use_v2\":true"));
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

// Alice with a network that leaves masked tokens out: fewer queries than the target has tokens, as
// many in every row.
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/unit/objective/tiny_alice.h"

namespace homolog::objective {
namespace {

using namespace tiny;

constexpr backbone::Size3 kCrop{64, 32, 32};        // 4 x 2 x 2 patches
constexpr std::int64_t kPatches = 16, kCount = 49;  // index of the token count in the statistics

std::unique_ptr<Objective> vit(const Settings& extra = {}) { return make(extra, "vit", kCrop); }

double tokens_of(const Loss& loss) { return loss.statistics[kCount].item<double>(); }

// Masks of a stream: one patch in two seen, as a chessboard.
torch::Tensor chessboard(std::int64_t rows) {
  const torch::Tensor parity_XYZ =
      (torch::arange(4).view({4, 1, 1}) + torch::arange(2).view({1, 2, 1}) + torch::arange(2)) % 2;
  return parity_XYZ.to(torch::kFloat)
      .repeat_interleave(16, 0)
      .repeat_interleave(16, 1)
      .repeat_interleave(16, 2)
      .expand({rows, 1, kCrop[0], kCrop[1], kCrop[2]});
}

TEST(AliceWithViT, HasAQueryForEachVisiblePatch) {
  const Views views = make_views({1, 2}, kCrop);  // two pairs, four rows
  EXPECT_EQ(tokens_of(vit()->evaluate(views, {.step = 3})), 4 * kPatches / 4);
  EXPECT_EQ(tokens_of(vit({"objective.alice.mask_ratio=0.5"})->evaluate(views, {.step = 3})),
            4 * kPatches / 2);
  const auto unmasked = vit({"objective.alice.lambda_reconstruction=0",
                             "objective.alice.mask_student_without_mim=false"});
  EXPECT_EQ(tokens_of(unmasked->evaluate(views, {.step = 3})), 4 * kPatches);
}

TEST(AliceWithViT, MasksCubesUnlessColumnsAreAskedFor) {
  const Views views = make_views({1}, kCrop);
  const auto total = [&](const Settings& settings) {
    return vit(settings)->evaluate(views, {.step = 3}).total.item<double>();
  };
  EXPECT_EQ(total({"objective.alice.mask_shape=auto"}), total({"objective.alice.mask_shape=cube"}));
  EXPECT_NE(total({"objective.alice.mask_shape=auto"}),
            total({"objective.alice.mask_shape=column"}));
}

TEST(AliceWithViT, MaskedVoxelsMatterToTheReconstructionAlone) {
  Views views = make_views({1, 2}, kCrop);
  views.tensors["query_visible_B1XYZ"] = views.tensors["key_visible_B1XYZ"] = chessboard(2);
  const auto alice = vit();
  const Loss before = alice->evaluate(views, {.step = 3});
  views.tensors["query_B1XYZ"] = torch::where(chessboard(2) == 1, views.at("query_B1XYZ"), 0.3);
  const Loss after = alice->evaluate(views, {.step = 3});
  EXPECT_EQ(term(before, "inter"), term(after, "inter"));
  EXPECT_EQ(term(before, "intra"), term(after, "intra"));
  EXPECT_NE(term(before, "reconstruction"), term(after, "reconstruction"));
}

TEST(AliceWithViT, TwoRanksWithOnePairEachEqualOneRankWithTwo) {
  const auto alice = vit();
  const StepInfo info{.step = 3, .seed = 9};
  const Loss both = alice->evaluate(make_views({1, 2}, kCrop), info);
  const Loss a = alice->evaluate(make_views({1}, kCrop), info);
  const Loss b = alice->evaluate(make_views({2}, kCrop), info);
  EXPECT_NEAR(both.total.item<double>(), 0.5 * (a.total + b.total).item<double>(), 2e-4);
  EXPECT_TRUE(torch::allclose(both.statistics, a.statistics + b.statistics, 1e-3, 1e-4));
}

TEST(AliceWithViT, AStreamsMaskThatCutsAPatchIsRefused) {
  Views views = make_views({1}, kCrop);
  views.tensors["query_visible_B1XYZ"] = views.tensors["key_visible_B1XYZ"] =
      chessboard(1).roll(8, 2);
  EXPECT_THROW(vit()->evaluate(views, {.step = 3}), Error);
}

}  // namespace
}  // namespace homolog::objective

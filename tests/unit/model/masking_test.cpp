// Masks: exact counts, columns and cubes, independence of batch composition.
#include "model/masking.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "model/row_draws.h"

namespace homolog::model {
namespace {

at::Tensor draw(const MaskPlan& plan, const backbone::Size3& crop,
                const std::vector<std::uint64_t>& keys, std::uint64_t seed = 1) {
  return visible_B1XYZ(plan, crop, seed, "mask-query", keys, torch::kCPU);
}

TEST(Masking, MasksExactlyTheMethodsCounts) {
  EXPECT_EQ(masked_cells({}, {64, 64, 64}), 12);
  EXPECT_EQ(masked_cells({}, {192, 192, 64}), 108);
  EXPECT_EQ(masked_cells({.shape = "cube"}, {64, 64, 64}), 48);
  EXPECT_EQ(masked_cells({.ratio = 0}, {64, 64, 64}), 0);
  EXPECT_DOUBLE_EQ(1 - draw({}, {64, 64, 64}, {1, 2, 3}).mean().item<double>(), 0.75);
}

TEST(Masking, ColumnsRunThroughAllSlicesAndCellsAreWhole) {
  const at::Tensor seen = draw({}, {64, 32, 48}, {5});
  EXPECT_TRUE(torch::equal(seen, seen.narrow(4, 0, 1).expand_as(seen)));
  const at::Tensor cells = at::avg_pool3d(seen, {16, 16, 48});
  EXPECT_TRUE((cells == 0).logical_or(cells == 1).all().item<bool>());
}

TEST(Masking, CubesVaryAlongTheSlices) {
  const at::Tensor seen = draw({.shape = "cube"}, {64, 64, 64}, {5});
  EXPECT_FALSE(torch::equal(seen, seen.narrow(4, 0, 1).expand_as(seen)));
  EXPECT_DOUBLE_EQ(1 - seen.mean().item<double>(), 0.75);
}

TEST(Masking, DependsOnTheSamplesKeyAndTheSeedAlone) {
  const at::Tensor batch = draw({}, {64, 64, 64}, {row_key(1, 9, 0), row_key(2, 9, 0)});
  const at::Tensor alone = draw({}, {64, 64, 64}, {row_key(2, 9, 0)});
  EXPECT_TRUE(torch::equal(batch.narrow(0, 1, 1), alone));
  EXPECT_FALSE(torch::equal(draw({}, {64, 64, 64}, {row_key(2, 10, 0)}), alone));
  EXPECT_FALSE(torch::equal(draw({}, {64, 64, 64}, {row_key(2, 9, 0)}, 2), alone));
}

TEST(Masking, RefusesCellsThatDoNotTile) { EXPECT_THROW(masked_cells({}, {40, 64, 64}), Error); }

TEST(RowDraws, DropoutIsReproducibleForARowWhereverItStands) {
  const at::Tensor x = torch::ones({2, 50, 40});
  const at::Tensor both = RowDraws(3, {11, 12}).dropout_factor(x, 0.1, "casa-ffn");
  const at::Tensor second = RowDraws(3, {12}).dropout_factor(x.narrow(0, 0, 1), 0.1, "casa-ffn");
  EXPECT_TRUE(torch::equal(both.narrow(0, 1, 1), second));
  EXPECT_NEAR((both == 0).to(torch::kFloat).mean().item<float>(), 0.1F, 0.03F);
  EXPECT_FALSE(torch::equal(both, RowDraws(3, {11, 12}).dropout_factor(x, 0.1, "casa-output")));
}

TEST(RowDraws, KeepFactorsAreZeroOrRescaledAndLeaveTorchsGeneratorAlone) {
  torch::manual_seed(1);
  const at::Tensor before = torch::rand({4});
  torch::manual_seed(1);
  std::vector<std::uint64_t> keys(2000);
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = row_key(i, 0, 0);
  const RowDraws draws(3, keys);
  const at::Tensor keep = draws.keep_LB({0.0, 0.2}, 2000, torch::kCPU);
  draws.dropout_factor(torch::ones({2000, 2}), 0.5, "casa-ffn");
  EXPECT_TRUE(torch::equal(torch::rand({4}), before));
  EXPECT_TRUE((keep[0] == 1).all().item<bool>());
  EXPECT_NEAR(keep[1].mean().item<float>(), 1.0F, 0.05F);
  EXPECT_TRUE(((keep[1] == 0).logical_or((keep[1] - 1.25).abs() < 1e-6)).all().item<bool>());
}

}  // namespace
}  // namespace homolog::model

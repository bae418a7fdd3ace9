// Patches: which are seen, where they go back to, where their voxels lie; positions.
#include "model/blocks/patch_decoder.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <set>

#include "model/blocks/position_table.h"

namespace homolog::model {
namespace {

using backbone::Size3;

constexpr Size3 kGrid{3, 1, 2};
constexpr std::int64_t kPatch = 4;

// Two rows; row 0 sees patches 1 and 5, row 1 sees 0 and 2.
backbone::View view() {
  torch::Tensor seen = torch::zeros({2, 6});
  for (const auto& [row, patch] : {std::pair{0, 1}, {0, 5}, {1, 2}, {1, 0}}) seen[row][patch] = 1;
  return {.image_B1XYZ = torch::zeros({2, 1, 12, 4, 8}),
          .visible_B1XYZ = seen.view({2, 1, 3, 1, 2})
                               .repeat_interleave(kPatch, 2)
                               .repeat_interleave(kPatch, 3)
                               .repeat_interleave(kPatch, 4),
          .visible_share = 1.0 / 3};
}

TEST(VisiblePatches, PicksTheSeenInOrderAndPutsThemBack) {
  const VisiblePatches visible(view(), kGrid, kPatch);
  const torch::Tensor tokens_BLC = torch::arange(12, torch::kFloat).view({2, 6, 1});
  const torch::Tensor picked_BNC = visible.pick(tokens_BLC);
  EXPECT_TRUE(torch::equal(picked_BNC, torch::tensor({1.F, 5.F, 6.F, 8.F}).view({2, 2, 1})));
  const torch::Tensor back_BLC = visible.put_back(picked_BNC, torch::full({1, 1, 1}, -1.F));
  const torch::Tensor want =
      torch::tensor({-1.F, 1.F, -1.F, -1.F, -1.F, 5.F, 6.F, -1.F, 8.F, -1.F, -1.F, -1.F});
  EXPECT_TRUE(torch::equal(back_BLC.flatten(), want)) << back_BLC;
}

TEST(VisiblePatches, PickAndPutBackShareTheGradientRightly) {
  const VisiblePatches visible(view(), kGrid, kPatch);
  const torch::Tensor tokens_BLC = torch::rand({2, 6, 3}).requires_grad_(true);
  const torch::Tensor filler_11C = torch::rand({1, 1, 3}).requires_grad_(true);
  const torch::Tensor weight_BLC = torch::rand({2, 6, 3});
  (visible.put_back(visible.pick(tokens_BLC), filler_11C) * weight_BLC).sum().backward();
  const torch::Tensor seen_BL1 = at::avg_pool3d(view().visible_B1XYZ, kPatch).view({2, 6, 1});
  EXPECT_TRUE(torch::allclose(tokens_BLC.grad(), weight_BLC * seen_BL1));
  EXPECT_TRUE(torch::allclose(filler_11C.grad().flatten(),
                              (weight_BLC * (1 - seen_BL1)).sum(at::IntArrayRef{0, 1}), 1e-5,
                              1e-6));
}

TEST(PatchDecoder, PutsEachPatchsVoxelsInTheirPlace) {
  const torch::Tensor image = torch::arange(2 * 12 * 4 * 8, torch::kFloat).view({2, 1, 12, 4, 8});
  std::vector<torch::Tensor> patches;
  for (std::int64_t x = 0; x < 3; ++x) {
    for (std::int64_t z = 0; z < 2; ++z) {
      patches.push_back(
          image.narrow(2, x * kPatch, kPatch).narrow(4, z * kPatch, kPatch).reshape({2, -1}));
    }
  }
  EXPECT_TRUE(torch::equal(unpatchify(at::stack(patches, 1), kGrid, kPatch), image));
}

TEST(PatchDecoder, AMaskedPatchsTokenDependsOnItsPlace) {
  const torch::NoGradGuard no_grad;
  PatchDecoder decoder(PatchDecoderPlan{.width = 12, .layers = 1, .heads = 2}, 5, kPatch);
  const torch::Tensor encoded_BNC = torch::rand({2, 2, 5});
  const torch::Tensor out_BLC =
      decoder(encoded_BNC, 0, VisiblePatches(view(), kGrid, kPatch), kGrid);
  for (std::int64_t a = 0; a < 6; ++a) {
    for (std::int64_t b = a + 1; b < 6; ++b) {
      EXPECT_FALSE(torch::allclose(out_BLC[0][a], out_BLC[0][b], 1e-3, 1e-3)) << a << " " << b;
    }
  }
}

TEST(PositionTable, SinesTellEveryPlaceApartInMonaisOrder) {
  const Size3 grid{2, 3, 4};
  const torch::Tensor table_1LC = sine_positions_1LC(grid, 14);  // two waves an axis, two zeros
  ASSERT_EQ(table_1LC.sizes(), at::IntArrayRef({1, 24, 14}));
  const torch::Tensor at_1_2_3 = table_1LC[0][1 * 12 + 2 * 4 + 3];
  const std::vector<double> angles{2, 2 * 0.01, 1, 1 * 0.01, 3, 3 * 0.01};
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    for (std::int64_t wave = 0; wave < 2; ++wave) {
      const double angle = angles[static_cast<std::size_t>(2 * axis + wave)];
      EXPECT_NEAR(at_1_2_3[4 * axis + wave].item<double>(), std::sin(angle), 1e-6);
      EXPECT_NEAR(at_1_2_3[4 * axis + 2 + wave].item<double>(), std::cos(angle), 1e-6);
    }
  }
  EXPECT_EQ(at_1_2_3[12].item<double>(), 0);
  EXPECT_GT(at::pdist(table_1LC[0]).min().item<double>(), 1e-3);
}

TEST(PositionTable, ResizedKeepsAConstant) {
  const torch::Tensor larger =
      resize_position_table(torch::full({1, 8, 4}, 0.5), {2, 2, 2}, {3, 2, 4});
  EXPECT_TRUE(torch::allclose(larger, torch::full({1, 24, 4}, 0.5)));
}

}  // namespace
}  // namespace homolog::model

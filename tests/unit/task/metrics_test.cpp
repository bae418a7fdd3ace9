// Claims about scores: distances against a search through all pairs, and what empty masks give.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "task/overlap_metrics.h"
#include "task/surface_cell.h"
#include "task/surface_metrics.h"

namespace homolog::task {
namespace {

using Spacing = std::array<double, 3>;
using Voxel = std::array<std::int64_t, 3>;

// Voxels of the mask with a face neighbour outside it.
std::vector<Voxel> surface_voxels(const at::Tensor& mask) {
  const auto in = [&](std::int64_t x, std::int64_t y, std::int64_t z) {
    return x >= 0 && y >= 0 && z >= 0 && x < mask.size(0) && y < mask.size(1) && z < mask.size(2) &&
           mask[x][y][z].item<bool>();
  };
  std::vector<Voxel> result;
  for (std::int64_t x = 0; x < mask.size(0); ++x) {
    for (std::int64_t y = 0; y < mask.size(1); ++y) {
      for (std::int64_t z = 0; z < mask.size(2); ++z) {
        const bool inner = in(x - 1, y, z) && in(x + 1, y, z) && in(x, y - 1, z) &&
                           in(x, y + 1, z) && in(x, y, z - 1) && in(x, y, z + 1);
        if (in(x, y, z) && !inner) result.push_back({x, y, z});
      }
    }
  }
  return result;
}

std::vector<double> nearest(const std::vector<Voxel>& from, const std::vector<Voxel>& to,
                            const Spacing& spacing) {
  std::vector<double> result;
  for (const Voxel& a : from) {
    double best = INFINITY;
    for (const Voxel& b : to) {
      double sum = 0;
      for (std::size_t i = 0; i < 3; ++i) {
        sum += std::pow(static_cast<double>(a[i] - b[i]) * spacing[i], 2);
      }
      best = std::min(best, std::sqrt(sum));
    }
    result.push_back(best);
  }
  std::sort(result.begin(), result.end());
  return result;
}

at::Tensor blobs(std::int64_t x, std::int64_t y, std::int64_t z) {
  return at::avg_pool3d(at::randn({1, 1, x, y, z}), 3, 1, 1)[0][0] > 0.1;
}

TEST(SurfaceMetrics, EqualASearchThroughAllPairs) {
  at::manual_seed(3);
  for (const Spacing& spacing : {Spacing{1, 1, 1}, Spacing{1.5, 1, 2}, Spacing{0.7, 0.7, 5}}) {
    for (int trial = 0; trial < 6; ++trial) {
      const at::Tensor p = blobs(9, 7, 8), t = blobs(9, 7, 8);
      const auto there = nearest(surface_voxels(p), surface_voxels(t), spacing);
      const auto back = nearest(surface_voxels(t), surface_voxels(p), spacing);
      const SurfaceDistances d = surface_distances(p, t, spacing);
      EXPECT_NEAR(hausdorff(d, 100), std::max(there.back(), back.back()), 1e-12);
      EXPECT_NEAR(hausdorff(d, 100, Direction::FromPrediction), there.back(), 1e-12);
      const double rank = 0.95 * static_cast<double>(there.size() - 1);
      const auto below = static_cast<std::size_t>(rank);
      const double part = rank - static_cast<double>(below);
      const double want =
          there[below] * (1 - part) + there[std::min(below + 1, there.size() - 1)] * part;
      EXPECT_NEAR(hausdorff(d, 95, Direction::FromPrediction), want, 1e-12);
      double sum = 0;
      for (const double one : there) sum += one;
      EXPECT_NEAR(average_surface_distance(d, Direction::FromPrediction),
                  sum / static_cast<double>(there.size()), 1e-12);
      const auto within = [&](const std::vector<double>& side) {
        return std::count_if(side.begin(), side.end(), [](double one) { return one <= 1.0001; });
      };
      EXPECT_NEAR(surface_dice(d, 1.0001),
                  static_cast<double>(within(there) + within(back)) /
                      static_cast<double>(there.size() + back.size()),
                  1e-12);
    }
  }
}

TEST(SurfaceMetrics, EmptyMasksGiveNanInfinityOrZero) {
  const at::Tensor none = at::zeros({5, 6, 7}, at::kBool), some = at::ones({5, 6, 7}, at::kBool);
  const SurfaceDistances both = surface_distances(none, none);
  EXPECT_TRUE(std::isnan(hausdorff(both, 95)) && std::isnan(hausdorff(both, 100)));
  EXPECT_TRUE(std::isnan(average_surface_distance(both)) && std::isnan(surface_dice(both, 1)));
  for (const auto& one : {surface_distances(some, none), surface_distances(none, some)}) {
    EXPECT_TRUE(std::isnan(hausdorff(one, 95)));
    EXPECT_TRUE(std::isinf(hausdorff(one, 100)));
    EXPECT_TRUE(std::isinf(hausdorff(one, 100, Direction::FromPrediction)));
    EXPECT_TRUE(std::isinf(average_surface_distance(one)));
    EXPECT_EQ(surface_dice(one, 1), 0);
  }
  for (const SurfaceKind kind : {SurfaceKind::Voxels, SurfaceKind::Subcell}) {
    const SurfaceDistances same = surface_distances(some, some, {1, 1, 1}, kind);
    EXPECT_EQ(hausdorff(same, 100), 0);
    EXPECT_EQ(surface_dice(same, 0), 1);
  }
}

TEST(SurfaceMetrics, ATieWithTheToleranceIsWithin) {
  at::Tensor p = at::zeros({8, 3, 3}, at::kBool), t = p.clone();
  p[1][1][1] = true, t[4][1][1] = true;
  EXPECT_EQ(surface_dice(surface_distances(p, t, {0.7, 1, 1}), 2.1), 1);
  EXPECT_EQ(surface_dice(surface_distances(p, t, {0.7, 1, 1}), 2.09), 0);
}

TEST(SurfaceMetrics, RefusesMasksAndSpacingThatCannotBe) {
  const at::Tensor mask = at::ones({2, 2, 2}, at::kBool);
  EXPECT_THROW(surface_distances(mask, mask.narrow(0, 0, 1)), Error);
  EXPECT_THROW(surface_distances(mask[0], mask[0]), Error);
  EXPECT_THROW(surface_distances(mask, mask, {1, 0, 1}), Error);
}

TEST(SurfaceCell, EveryMixedCaseHasAreaAndPlanesHaveTheirs) {
  const auto area = surface_cell_areas({1.5, 1, 2});
  for (unsigned code = 1; code < 255; ++code) {
    EXPECT_GT(area[code], 0) << code;
    EXPECT_EQ(area[code], area[255 - code]) << code;
  }
  EXPECT_EQ(area[0], 0);
  EXPECT_EQ(area[255], 0);
  EXPECT_DOUBLE_EQ(area[0x0F], 1.0 * 2);    // cut across the first axis
  EXPECT_DOUBLE_EQ(area[0x33], 1.5 * 2);    // the second
  EXPECT_DOUBLE_EQ(area[0x55], 1.5 * 1.0);  // the third
}

TEST(Dice, CountsVoxelsAndKnowsEmptyMasks) {
  at::Tensor truth = at::zeros({1, 4, 2, 2, 2}, at::kByte), predicted = truth.clone();
  truth[0][1].fill_(1);          // eight voxels
  predicted[0][1][0].fill_(1);   // four of them
  predicted[0][2][0][0][0] = 1;  // not there in truth
  const double nan = std::nan("");
  const auto scores = [&](bool ignore) {
    return dice(predicted, truth, {.include_background = false, .ignore_empty = ignore});
  };
  EXPECT_TRUE(at::allclose(scores(true),
                           at::tensor({2.0 * 4 / 12, nan, nan}, at::kDouble).view({1, 3}), 1e-12, 0,
                           /*equal_nan=*/true));
  EXPECT_TRUE(
      at::allclose(scores(false), at::tensor({2.0 * 4 / 12, 0.0, 1.0}, at::kDouble).view({1, 3})));
}

TEST(Dice, LabelsBecomeOneChannelAClass) {
  const at::Tensor labels = at::tensor({0, 1, 2, 1}, at::kByte).view({1, 1, 4, 1, 1});
  const at::Tensor hot = class_masks(labels, 3);
  EXPECT_EQ(hot.sizes(), (std::vector<std::int64_t>{1, 3, 4, 1, 1}));
  EXPECT_TRUE(at::equal(hot.argmax(1, true).to(at::kByte), labels));
}

TEST(MeanScore, LeavesOutWhatIsNotScored) {
  const double nan = std::nan("");
  const at::Tensor scores = at::tensor({1.0, nan, 0.5, 0.7, nan, nan}, at::kDouble).view({3, 2});
  EXPECT_DOUBLE_EQ(mean_score(scores), (1.0 + 0.6) / 2);
  EXPECT_EQ(mean_per_class(scores), (std::vector<double>{0.75, 0.7}));
  EXPECT_TRUE(std::isnan(mean_score(at::full({2, 2}, nan))));
}

}  // namespace
}  // namespace homolog::task

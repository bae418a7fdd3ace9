// Claims about resampling: linear images stay linear, there and back is the same, labels stay
// labels, and each rule for the outside holds at the border.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numbers>

#include "base/error.h"
#include "task/transforms/rearrange.h"
#include "task/transforms/resample.h"

namespace homolog::task {
namespace {

AffineGrid grid_of(const Index3& size, const Point3& spacing = {1, 1, 1}) {
  return {size, Affine::translation({5, -3, 2}) * Affine::scaling(spacing)};
}

// A plane in world coordinates, which linear interpolation reproduces.
at::Tensor plane(const AffineGrid& grid) {
  const auto o = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor x = at::arange(grid.size.x, o).view({-1, 1, 1}),
                   y = at::arange(grid.size.y, o).view({1, -1, 1}),
                   z = at::arange(grid.size.z, o).view({1, 1, -1});
  const Point3 p = grid.to_world(Point3{});
  const auto along = [&](const Point3& step) {
    const Point3 q = grid.to_world(step);
    return 2 * (q.x - p.x) - 3 * (q.y - p.y) + 0.5 * (q.z - p.z);
  };
  const at::Tensor value = x * along({1, 0, 0}) + y * along({0, 1, 0}) + z * along({0, 0, 1}) +
                           (2 * p.x - 3 * p.y + 0.5 * p.z);
  return value.unsqueeze(0).to(at::kFloat);
}

float largest(const at::Tensor& t) { return t.abs().max().item<float>(); }

TEST(Resample, OnItsOwnGridNothingChanges) {
  const AffineGrid grid = grid_of({5, 6, 7}, {0.8, 0.9, 2.5});
  const at::Tensor image = at::randn({2, 5, 6, 7});
  EXPECT_TRUE(at::equal(resample(image, grid, grid), image));
}

TEST(Resample, APlaneStaysAPlane) {
  const AffineGrid from = grid_of({20, 18, 12}, {0.8, 0.9, 2.5});
  const AffineGrid finer = respaced(from, {.spacing_mm = {0.5, 0.6, 2}});
  const AffineGrid turned = cropped(rotated(from, {0.1, 0.2, 0.3}), {{7, 6, 4}, {12, 11, 7}});
  EXPECT_LT(largest(resample(plane(from), from, turned) - plane(turned)), 1e-4);
  // The finer grid may reach past the last centre, where the border's value is held.
  const Box inner{{0, 0, 0}, {29, 24, 13}};
  const at::Tensor got = cut_box(resample(plane(from), from, finer), inner);
  EXPECT_LT(largest(got - plane(cropped(finer, inner))), 1e-4);
}

TEST(Resample, TurningThereAndBackIsTheSame) {
  const AffineGrid from = grid_of({9, 9, 9});
  const double quarter = std::numbers::pi / 2;
  const at::Tensor image = at::randn({1, 9, 9, 9});
  const AffineGrid turned = rotated(from, {0, 0, quarter});
  const at::Tensor there = resample(image, from, turned);
  EXPECT_LT(largest(resample(there, turned, from) - image), 1e-5);
  // A quarter turn about the third axis: the new X looks along the old Y.
  EXPECT_LT(largest(there - image.transpose(1, 2).flip(2)), 1e-5);
}

TEST(Resample, LabelsStayLabels) {
  const AffineGrid from = grid_of({9, 8, 7});
  const at::Tensor labels = at::randint(0, 14, {1, 9, 8, 7}, at::kByte);
  const at::Tensor out = resample(labels, from, respaced(from, {.spacing_mm = {0.5, 0.7, 1.3}}),
                                  {Interpolation::Nearest, Outside::Border});
  EXPECT_EQ(out.scalar_type(), at::kByte);
  EXPECT_LT(out.max().item<int>(), 14);
}

TEST(Resample, OutsideRulesDifferAtTheBorderOnly) {
  // Four voxels of value 1, read at -0.75, -0.25, 0.25, ..., 3.75.
  const AffineGrid from{{4, 1, 1}, {}};
  const AffineGrid to{{10, 1, 1},
                      Affine::translation({-0.75, 0, 0}) * Affine::scaling({0.5, 1, 1})};
  const auto read = [&](Outside outside) {
    return resample(at::ones({1, 4, 1, 1}), from, to, {Interpolation::Linear, outside}).view(-1);
  };
  const auto row = [](double far, double near) {
    return at::tensor({far, near, 1., 1., 1., 1., 1., 1., near, far}, at::kFloat);
  };
  EXPECT_LT(largest(read(Outside::Border) - row(1, 1)), 1e-6);
  EXPECT_LT(largest(read(Outside::Zero) - row(0.25, 0.75)), 1e-6);
  EXPECT_LT(largest(read(Outside::ZeroBeyondCentres) - row(0, 0)), 1e-6);
  EXPECT_LT(largest(read(Outside::ZeroBeyondEdges) - row(0, 1)), 1e-6);
}

TEST(Resample, LargeResultsAreMadeInSlabsWithoutSeams) {
  const AffineGrid from = grid_of({6, 5, 4});
  const AffineGrid fine = respaced(from, {.spacing_mm = {0.02, 0.02, 0.02}});  // 251 x 201 x 151
  ASSERT_GT(fine.size.x * fine.size.y * fine.size.z, 7'000'000);
  const at::Tensor image = at::randn({1, 6, 5, 4});
  const at::Tensor whole = resample(image, from, fine);
  for (const std::int64_t x : {0, 130, 131, 132, 133, 250}) {
    const Box plane{{x, 0, 0}, {x, fine.size.y - 1, fine.size.z - 1}};
    EXPECT_LT(largest(cut_box(whole, plane) - resample(image, from, cropped(fine, plane))), 1e-6);
  }
}

TEST(Resample, RefusesAnImageOfAnotherGrid) {
  const at::Tensor image = at::zeros({1, 4, 4, 4});
  EXPECT_THROW(resample(image, grid_of({4, 4, 5}), grid_of({2, 2, 2})), Error);
  EXPECT_THROW(resample(image[0], grid_of({4, 4, 4}), grid_of({2, 2, 2})), Error);
  EXPECT_THROW(resample(image, grid_of({4, 4, 4}), grid_of({2, 0, 2})), Error);
}

TEST(Reorder, MovesVoxelsWithTheirPlace) {
  const AffineGrid from = grid_of({4, 5, 6}, {0.8, 0.9, 2.5});
  for (const char* code : {"LPS", "RAI", "SLP", "AIR"}) {
    const AxisOrder order = order_to(from.to_world, code);
    const AffineGrid to = reordered(from, order);
    EXPECT_LT(largest(reorder(plane(from), order) - plane(to)), 1e-5) << code;
  }
}

TEST(CutBox, FillsWhatLiesOutside) {
  const at::Tensor image = at::rand({2, 4, 5, 6}) + 1;
  const at::Tensor out = cut_box(image, {{-2, 1, 3}, {1, 3, 7}}, -7);
  EXPECT_EQ(out.sizes(), (std::vector<std::int64_t>{2, 4, 3, 5}));
  EXPECT_TRUE(at::equal(out.narrow(1, 2, 2).narrow(3, 0, 3),
                        image.narrow(1, 0, 2).narrow(2, 1, 3).narrow(3, 3, 3)));
  EXPECT_EQ(out.eq(-7).sum().item<int>(), 2 * (4 * 3 * 5 - 2 * 3 * 3));
  EXPECT_TRUE(cut_box(image, {{9, 9, 9}, {10, 10, 10}}).eq(0).all().item<bool>());
}

TEST(ForegroundBox, HoldsAllOfItAndNothingElse) {
  at::Tensor mask = at::zeros({2, 6, 7, 8}, at::kBool);
  EXPECT_FALSE(foreground_box(mask).has_value());
  mask[0][2][3][4] = true, mask[1][5][3][1] = true;
  const auto box = foreground_box(mask);
  ASSERT_TRUE(box.has_value());
  EXPECT_EQ(box->low, (Index3{2, 3, 1}));
  EXPECT_EQ(box->high, (Index3{5, 3, 4}));
}

TEST(MapIntensity, IsTheOneOfTheEmbedding) {
  const IntensityMap map{-175, 250, 1, 0};
  const at::Tensor hu = at::tensor({-1000.F, -175.F, 0.F, 100.F, 250.F, 900.F});
  const at::Tensor out = map_intensity(hu, map), free = map_intensity(hu, map, false);
  for (std::int64_t i = 0; i < hu.size(0); ++i) {
    EXPECT_NEAR(out[i].item<float>(), map(hu[i].item<float>()), 1e-6);
  }
  EXPECT_NEAR(free[5].item<float>(), (900 + 175) / 425.0, 1e-6);
  EXPECT_EQ(hu[0].item<float>(), -1000.F);  // not in place
}

}  // namespace
}  // namespace homolog::task

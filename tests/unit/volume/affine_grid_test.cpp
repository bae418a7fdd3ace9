// Claims about grids: what stays where when spacing, axes or angles change.
#include "volume/affine_grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace homolog {
namespace {

AffineGrid oblique() {
  AffineGrid grid{{20, 18, 12}, {}};
  grid.to_world = Affine::translation({-12, 7.5, 30}) * Affine::rotation({0.1, -0.2, 0.25}) *
                  Affine::scaling({0.8, 0.9, 2.5});
  return grid;
}

void expect_near(const Point3& a, const Point3& b, double tolerance = 1e-9) {
  EXPECT_NEAR(a.x, b.x, tolerance);
  EXPECT_NEAR(a.y, b.y, tolerance);
  EXPECT_NEAR(a.z, b.z, tolerance);
}

TEST(Affine, InverseUndoesTheMap) {
  const Affine a = oblique().to_world;
  EXPECT_LT(largest_difference(a * a.inverse(), Affine{}), 1e-12);
  expect_near(a.inverse()(a(Point3{3, -4, 5.5})), {3, -4, 5.5});
  EXPECT_THROW(Affine::scaling({1, 0, 1}).inverse(), Error);
}

TEST(Affine, APositiveTurnAboutAnAxisTakesTheNextAxisToTheOneAfter) {
  const double quarter = std::numbers::pi / 2;
  expect_near(Affine::rotation({quarter, 0, 0})(Point3{0, 1, 0}), {0, 0, 1});
  expect_near(Affine::rotation({0, quarter, 0})(Point3{0, 0, 1}), {1, 0, 0});
  expect_near(Affine::rotation({0, 0, quarter})(Point3{1, 0, 0}), {0, 1, 0});
}

TEST(AffineGrid, RespacingKeepsTheFirstCentreAndTheDirections) {
  const AffineGrid old = oblique(), fresh = respaced(old, {.spacing_mm = {1.5, 1.5, 1.5}});
  EXPECT_EQ(fresh.size, (Index3{11, 11, 19}));
  expect_near(fresh.to_world.column_lengths(), {1.5, 1.5, 1.5});
  expect_near(fresh.to_world(Point3{}), old.to_world(Point3{}));
  // One step along an axis of the new grid is 1.5 / s steps along the same axis of the old.
  expect_near(old.to_world.inverse()(fresh.to_world(Point3{0, 0, 1})), {0, 0, 0.6});
  const AffineGrid same = respaced(old, {.spacing_mm = {0, -1, 2.5}});
  EXPECT_EQ(same.size, old.size);
  EXPECT_LT(largest_difference(same.to_world, old.to_world), 1e-12);
}

TEST(AffineGrid, RespacedExtentCoversTheOldOne) {
  for (const bool flipped : {false, true}) {
    AffineGrid old{{20, 18, 12}, Affine::scaling({flipped ? -0.8 : 0.8, 0.9, 2.5})};
    const AffineGrid fresh =
        respaced(old, {.spacing_mm = {1.5, 1.5, 1.5}, .diagonal = true, .scale_extent = true});
    EXPECT_EQ(fresh.size, (Index3{11, 11, 20}));
    // Middles agree up to the rounded size.
    const Point3 a = old.to_world(Point3{9.5, 8.5, 5.5}), b = fresh.to_world(Point3{5, 5, 9.5});
    EXPECT_NEAR(a.x, b.x, 0.3);
    EXPECT_NEAR(a.y, b.y, 0.3);
    EXPECT_NEAR(a.z, b.z, 1e-9);
  }
}

TEST(AffineGrid, TurningKeepsTheCentre) {
  const AffineGrid old = oblique();
  for (const bool keep : {true, false}) {
    const AffineGrid turned = rotated(old, {0.2, -0.1, 0.3}, keep);
    const auto middle = [](const Index3& n) {
      return Point3{(static_cast<double>(n.x) - 1) / 2, (static_cast<double>(n.y) - 1) / 2,
                    (static_cast<double>(n.z) - 1) / 2};
    };
    expect_near(turned.to_world(middle(turned.size)), old.to_world(middle(old.size)));
    EXPECT_EQ(turned.size == old.size, keep);
  }
}

TEST(AffineGrid, EveryAxisCodeIsReachedAndComesBack) {
  const AffineGrid old = oblique();
  EXPECT_EQ(axis_code(old.to_world), "RAS");
  for (const std::string code : {"RAS", "LPS", "RAI", "SLP", "ASR", "IPR", "PIL"}) {
    const AxisOrder there = order_to(old.to_world, code);
    const AffineGrid turned = reordered(old, there);
    EXPECT_EQ(axis_code(turned.to_world), code);
    const AffineGrid back = reordered(turned, order_to(turned.to_world, "RAS"));
    EXPECT_EQ(back.size, old.size);
    EXPECT_LT(largest_difference(back.to_world, old.to_world), 1e-12);
  }
  for (const char* wrong : {"RA", "RAX", "RLS", "RASS", ""}) {
    EXPECT_THROW(order_to(old.to_world, wrong), Error) << wrong;
  }
}

TEST(AffineGrid, AStoredVolumeTurnsToRas) {
  const Grid stored{{4, 5, 6}, {10, 20, 30}, {0.5, 0.7, 2}, {1, 0, 0, 0, 1, 0, 0, 0, 1}};
  const AffineGrid grid = network_grid(stored);
  EXPECT_EQ(axis_code(grid.to_world), "RAS");
  // Network voxel (0, 0, 0) is stored voxel (3, 4, 0), whose RAS position negates x and y.
  expect_near(grid.to_world(Point3{}), {-(10 + 3 * 0.5), -(20 + 4 * 0.7), 30});
  expect_near(grid.to_world(Point3{3, 4, 5}), {-10, -20, 40});
}

TEST(AffineGrid, PaddingPutsTheOddVoxelAtTheFarEnd) {
  const Box box = padded_box({20, 18, 12}, {26, 16, 15});
  EXPECT_EQ(box.low, (Index3{-3, 0, -1}));
  EXPECT_EQ(size_of(box), (Index3{26, 18, 15}));
  expect_near(cropped(oblique(), box).to_world(Point3{3, 0, 1}), oblique().to_world(Point3{}));
}

TEST(AffineGrid, ResizingKeepsTheEdges) {
  const AffineGrid old = oblique(), fresh = resized(old, {7, 40, 12});
  expect_near(fresh.to_world(Point3{-.5, -.5, -.5}), old.to_world(Point3{-.5, -.5, -.5}));
  expect_near(fresh.to_world(Point3{6.5, 39.5, 11.5}), old.to_world(Point3{19.5, 17.5, 11.5}));
}

}  // namespace
}  // namespace homolog

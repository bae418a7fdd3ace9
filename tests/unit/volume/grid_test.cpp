// Index and millimetres, there and back, also oblique.
#include "volume/grid.h"

#include <gtest/gtest.h>

#include <cmath>

namespace homolog {
namespace {

Grid oblique() {
  const double c = std::cos(0.3), s = std::sin(0.3);
  Grid grid;
  grid.size = {40, 30, 20};
  grid.origin = {-100, 50, 7};
  grid.spacing = {0.5, 0.75, 3};
  grid.direction = {1, 0, 0, 0, c, -s, 0, s, c};
  return grid;
}

TEST(Grid, IndexToWorldAndBackIsExact) {
  const Grid grid = oblique();
  for (const Index3 i : {Index3{0, 0, 0}, Index3{39, 29, 19}, Index3{7, 11, 13}}) {
    const Point3 back = grid.to_index(grid.to_world(i));
    EXPECT_NEAR(back.x, static_cast<double>(i.x), 1e-9);
    EXPECT_NEAR(back.y, static_cast<double>(i.y), 1e-9);
    EXPECT_NEAR(back.z, static_cast<double>(i.z), 1e-9);
    EXPECT_EQ(grid.nearest(grid.to_world(i)), i);
  }
}

TEST(Grid, AStepAlongAnAxisIsItsSpacingAlongItsColumn) {
  const Grid grid = oblique();
  const Point3 a = grid.to_world(Index3{0, 0, 0}), b = grid.to_world(Index3{0, 0, 1});
  EXPECT_NEAR(distance(a, b), 3, 1e-12);
  EXPECT_NEAR(b.y - a.y, -3 * std::sin(0.3), 1e-12);
  EXPECT_NEAR(b.z - a.z, 3 * std::cos(0.3), 1e-12);
}

TEST(Grid, OffsetRunsXFastest) {
  const Grid grid = oblique();
  EXPECT_EQ(grid.offset({1, 0, 0}), 1);
  EXPECT_EQ(grid.offset({0, 1, 0}), 40);
  EXPECT_EQ(grid.offset({0, 0, 1}), 1200);
  EXPECT_EQ(grid.offset({39, 29, 19}), grid.voxels() - 1);
}

TEST(Grid, ContainsAndClampedAgreeAtTheBorder) {
  const Grid grid = oblique();
  EXPECT_TRUE(grid.contains({0, 0, 0}));
  EXPECT_TRUE(grid.contains({39, 29, 19}));
  EXPECT_FALSE(grid.contains({40, 0, 0}));
  EXPECT_FALSE(grid.contains({0, -1, 0}));
  EXPECT_EQ(grid.clamped({-4, 35, 19}), (Index3{0, 29, 19}));
}

TEST(Grid, WithSpacingKeepsTheOuterEdgeAndCoversTheVolume) {
  const Grid grid = oblique();
  const Grid coarse = with_spacing(grid, {2, 2, 2});
  EXPECT_EQ(coarse.size,
            (Index3{10, 12, 30}));  // 20, 22.5, 60 mm: the last voxel may reach past the edge
  const Point3 edge = grid.to_world(Point3{-0.5, -0.5, -0.5}),
               coarse_edge = coarse.to_world(Point3{-0.5, -0.5, -0.5});
  EXPECT_LT(distance(edge, coarse_edge), 1e-9);
  EXPECT_EQ(coarse.direction, grid.direction);
}

TEST(Grid, WithTheSameSpacingIsTheSameGrid) {
  const Grid grid = oblique(), same = with_spacing(grid, grid.spacing);
  EXPECT_EQ(same.size, grid.size);
  EXPECT_LT(distance(same.origin, grid.origin), 1e-12);
}

TEST(Grid, WithSpacingNeverVanishes) {
  EXPECT_EQ(with_spacing(oblique(), {1000, 1000, 1000}).size, (Index3{1, 1, 1}));
}

}  // namespace
}  // namespace homolog

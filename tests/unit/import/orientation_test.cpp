// Canonical order moves voxels in memory, never in the patient.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sharding/import/orientation.h"

namespace homolog::import {
namespace {

Scan scan_with(const std::array<double, 9>& direction) {
  Scan scan;
  scan.grid.size = {3, 4, 5};
  scan.grid.spacing = {0.5, 1.5, 2.5};
  scan.grid.origin = {10, -20, 30};
  scan.grid.direction = direction;
  for (std::int64_t i = 0; i < scan.grid.voxels(); ++i)
    scan.hu.push_back(static_cast<std::int16_t>(i));
  return scan;
}

void expect_same_place(const Scan& before, const Scan& after) {
  ASSERT_EQ(after.hu.size(), before.hu.size());
  for (std::int64_t z = 0; z < before.grid.size.z; ++z) {
    for (std::int64_t y = 0; y < before.grid.size.y; ++y) {
      for (std::int64_t x = 0; x < before.grid.size.x; ++x) {
        const Point3 world = before.grid.to_world(Index3{x, y, z});
        const Index3 there = after.grid.nearest(world);
        ASSERT_TRUE(after.grid.contains(there));
        ASSERT_LT(distance(after.grid.to_world(there), world), 1e-9);
        ASSERT_EQ(after.hu[static_cast<std::size_t>(after.grid.offset(there))],
                  before.hu[static_cast<std::size_t>(before.grid.offset({x, y, z}))]);
      }
    }
  }
}

TEST(Orientation, All48AxisOrdersKeepEachVoxelInItsPlace) {
  std::array<int, 3> axes{0, 1, 2};
  do {
    for (int signs = 0; signs < 8; ++signs) {
      std::array<double, 9> direction{};
      for (int axis = 0; axis < 3; ++axis)
        direction[axes[axis] * 3 + axis] = (signs >> axis & 1) ? -1 : 1;
      const Scan before = scan_with(direction);
      const Scan after = canonical(before);
      EXPECT_EQ(orientation_letters(after.grid.direction), "LPS");
      expect_same_place(before, after);
    }
  } while (std::next_permutation(axes.begin(), axes.end()));
}

TEST(Orientation, LettersNameWhereAnAxisPointsTo) {
  EXPECT_EQ(orientation_letters({1, 0, 0, 0, 1, 0, 0, 0, 1}), "LPS");
  EXPECT_EQ(orientation_letters({-1, 0, 0, 0, -1, 0, 0, 0, 1}), "RAS");
  EXPECT_EQ(orientation_letters({0, 0, -1, 1, 0, 0, 0, -1, 0}), "PIR");
}

TEST(Orientation, ObliqueCosinesAreKept) {
  const double c = std::cos(0.4), s = std::sin(0.4);
  const Scan before = scan_with({-1, 0, 0, 0, -c, -s, 0, -s, c});
  const Scan after = canonical(before);
  const std::array<double, 9> expected{1, 0, 0, 0, c, -s, 0, s, c};
  for (int i = 0; i < 9; ++i) EXPECT_NEAR(after.grid.direction[i], expected[i], 1e-12);
  expect_same_place(before, after);
}

TEST(Orientation, ShearedAxesAreNotOrthonormal) {
  EXPECT_TRUE(is_orthonormal({1, 0, 0, 0, 1, 0, 0, 0, 1}));
  EXPECT_FALSE(is_orthonormal({1, 0.1, 0, 0, 1, 0, 0, 0, 1}));
  EXPECT_FALSE(is_orthonormal({NAN, 0, 0, 0, 1, 0, 0, 0, 1}));
}

}  // namespace
}  // namespace homolog::import

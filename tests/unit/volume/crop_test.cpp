// The landmark sits where the network expects it after its flips, and what lies outside is air.
#include "volume/crop.h"

#include <gtest/gtest.h>

#include <cmath>

namespace homolog {
namespace {

Volume numbered() {
  Volume volume;
  volume.grid.size = {10, 9, 8};
  for (int i = 0; i < 720; ++i) volume.hu.push_back(static_cast<std::int16_t>(i));
  return volume;
}

TEST(Crop, TheLandmarkIsAtHalfTheSizeInTheNetworksFrame) {
  for (const Index3 size : {Index3{192, 192, 64}, Index3{8, 6, 4}, Index3{2, 2, 2}}) {
    const Index3 at = landmark_in_crop(size);
    EXPECT_EQ(size.x - 1 - at.x, size.x / 2);  // the network flips x and y (LPS -> RAS)
    EXPECT_EQ(size.y - 1 - at.y, size.y / 2);
    EXPECT_EQ(at.z, size.z / 2);
  }
}

TEST(Crop, InsideItIsACopyWithTheLandmarkInItsPlace) {
  const Volume volume = numbered();
  const Crop crop = cut(volume, {5, 4, 3}, {4, 6, 2});
  EXPECT_EQ(crop.first, (Index3{4, 2, 2}));
  EXPECT_EQ(crop.outside_share, 0);
  EXPECT_EQ(crop.body_share, 1);
  const Index3 at = landmark_in_crop(crop.size);
  EXPECT_EQ(crop.hu[static_cast<std::size_t>((at.z * 6 + at.y) * 4 + at.x)], volume.at({5, 4, 3}));
  for (std::int64_t z = 0; z < 2; ++z) {
    for (std::int64_t y = 0; y < 6; ++y) {
      for (std::int64_t x = 0; x < 4; ++x) {
        ASSERT_EQ(crop.hu[static_cast<std::size_t>((z * 6 + y) * 4 + x)],
                  volume.at({4 + x, 2 + y, 2 + z}));
      }
    }
  }
}

TEST(Crop, EachVoxelOutsideIsAirAndCounted) {
  const Volume volume = numbered();
  for (const Index3 at : {Index3{0, 0, 0}, Index3{9, 8, 7}, Index3{0, 8, 3}, Index3{5, 4, 4}}) {
    const Index3 size{14, 12, 10};
    const Crop crop = cut(volume, at, size);
    std::int64_t outside = 0;
    for (std::int64_t z = 0; z < size.z; ++z) {
      for (std::int64_t y = 0; y < size.y; ++y) {
        for (std::int64_t x = 0; x < size.x; ++x) {
          const Index3 from{crop.first.x + x, crop.first.y + y, crop.first.z + z};
          const bool inside = volume.grid.contains(from);
          outside += !inside;
          ASSERT_EQ(crop.hu[static_cast<std::size_t>((z * size.y + y) * size.x + x)],
                    inside ? volume.at(from) : kAirHu);
        }
      }
    }
    EXPECT_DOUBLE_EQ(crop.outside_share,
                     static_cast<double>(outside) / static_cast<double>(crop.hu.size()));
    EXPECT_NEAR(crop.body_share, 1 - crop.outside_share,
                1e-12);  // every voxel of this volume is above -500
  }
}

TEST(Crop, WhollyOutsideIsAllAir) {
  const Crop crop = cut(numbered(), {500, -300, 4}, {6, 6, 6});
  EXPECT_EQ(crop.outside_share, 1);
  EXPECT_EQ(crop.body_share, 0);
  for (const std::int16_t hu : crop.hu) ASSERT_EQ(hu, kAirHu);
}

TEST(Crop, AirInsideTheVolumeIsNoBody) {
  Volume volume = numbered();
  for (std::int16_t& hu : volume.hu) hu = -500;
  EXPECT_EQ(cut(volume, {5, 4, 4}, {4, 4, 4}).body_share, 0);
}

// A ramp in millimetres of the volume's own axes, so that interpolation is exact.
struct Ramp {
  Volume volume;
  double at(double x, double y, double z) const {  // voxels
    const Point3& s = volume.grid.spacing;
    return 20 + 3 * x * s.x + 5 * y * s.y - 7 * z * s.z;
  }
  Ramp() {
    volume.grid.size = {40, 30, 20};
    volume.grid.spacing = {1, 2, 4};
    volume.grid.direction = {0, -1, 0, 1, 0, 0, 0, 0, 1};
    for (int z = 0; z < 20; ++z)
      for (int y = 0; y < 30; ++y)
        for (int x = 0; x < 40; ++x)
          volume.hu.push_back(static_cast<std::int16_t>(std::lround(at(x, y, z))));
  }
};

TEST(Crop, AnotherSpacingIsLinearAlongTheVolumesOwnAxes) {
  const Ramp ramp;
  const Index3 size{12, 10, 6}, at{20, 15, 10}, inner = landmark_in_crop(size);
  const Point3 mm{1.25, 1.5, 5};
  const Crop crop = cut(ramp.volume, at, size, mm);
  EXPECT_EQ(crop.outside_share, 0);
  for (std::int64_t z = 0; z < size.z; ++z) {
    for (std::int64_t y = 0; y < size.y; ++y) {
      for (std::int64_t x = 0; x < size.x; ++x) {
        const double want = ramp.at(20 + static_cast<double>(x - inner.x) * mm.x / 1,
                                    15 + static_cast<double>(y - inner.y) * mm.y / 2,
                                    10 + static_cast<double>(z - inner.z) * mm.z / 4);
        ASSERT_NEAR(crop.hu[static_cast<std::size_t>((z * size.y + y) * size.x + x)], want, 0.501);
      }
    }
  }
}

TEST(Crop, TheLandmarkKeepsItsPlaceAndValueAtAnySpacing) {
  const Ramp ramp;
  for (const Point3 mm : {Point3{0.3, 0.7, 1.1}, Point3{1, 2, 3.3}, Point3{2.5, 2.5, 2.5}}) {
    for (const Index3 size : {Index3{16, 14, 6}, Index3{2, 2, 2}}) {
      const Index3 inner = landmark_in_crop(size);
      const Crop crop = cut(ramp.volume, {7, 11, 13}, size, mm);
      EXPECT_EQ(crop.hu[static_cast<std::size_t>((inner.z * size.y + inner.y) * size.x + inner.x)],
                ramp.volume.at({7, 11, 13}));
    }
  }
}

TEST(Crop, TheVolumesOwnSpacingChangesNothing) {
  const Volume volume = numbered();
  const Point3& own = volume.grid.spacing;
  for (const Index3 at : {Index3{5, 4, 3}, Index3{0, 8, 7}}) {
    const Crop plain = cut(volume, at, {14, 6, 4});
    const Crop same = cut(volume, at, {14, 6, 4}, own);
    EXPECT_EQ(same.hu, plain.hu);
    EXPECT_EQ(same.outside_share, plain.outside_share);
    EXPECT_EQ(same.body_share, plain.body_share);
    // Every second voxel along z, the others as they are: the general way, exact.
    const Crop coarse = cut(volume, at, {14, 6, 4}, {own.x, own.y, 2 * own.z});
    const Crop fine = cut(volume, at, {14, 6, 8});
    for (std::size_t z = 0; z < 4; ++z) {
      for (std::size_t i = 0; i < 84; ++i)
        ASSERT_EQ(coarse.hu[z * 84 + i], fine.hu[2 * z * 84 + i]);
    }
  }
}

TEST(Crop, AtAnotherSpacingToWhatLiesOutsideIsAirAndCounted) {
  const Ramp ramp;
  const Crop crop = cut(ramp.volume, {0, 15, 10}, {16, 2, 2}, {2, 2, 4});
  // Voxels of 2 mm at x = -14, -12, ..., 16: seven lie outside.
  EXPECT_DOUBLE_EQ(crop.outside_share, 7.0 / 16);
  for (std::size_t x = 0; x < 16; ++x) EXPECT_EQ(crop.hu[x] == kAirHu, x < 7) << x;
}

}  // namespace
}  // namespace homolog

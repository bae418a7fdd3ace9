// The landmark sits where the network expects it after its flips, and what lies outside is air.
#include "volume/crop.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace homolog

// Resampling keeps places in millimetres; the body's box is tight.
#include "volume/volume.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace homolog {
namespace {

// A linear ramp in millimetres: trilinear resampling must reproduce it exactly (to rounding).
Volume ramp() {
  Volume volume;
  volume.grid.size = {24, 20, 16};
  volume.grid.spacing = {1, 1.5, 2};
  volume.grid.origin = {-12, 3, 100};
  volume.hu.resize(static_cast<std::size_t>(volume.grid.voxels()));
  for (std::int64_t z = 0; z < 16; ++z) {
    for (std::int64_t y = 0; y < 20; ++y) {
      for (std::int64_t x = 0; x < 24; ++x) {
        const Point3 p = volume.grid.to_world(Index3{x, y, z});
        volume.at({x, y, z}) = static_cast<std::int16_t>(std::lround(8 * p.x - 4 * p.y + 2 * p.z));
      }
    }
  }
  return volume;
}

TEST(Resample, ALinearRampStaysWhereItIsInMillimetres) {
  const Volume volume = ramp();
  const Volume fine = resample(volume, with_spacing(volume.grid, {0.8, 0.8, 0.8}));
  int checked = 0;
  for (std::int64_t z = 2; z < fine.grid.size.z - 4; z += 3) {
    for (std::int64_t y = 2; y < fine.grid.size.y - 4; y += 3) {
      for (std::int64_t x = 2; x < fine.grid.size.x - 4; x += 3) {
        const Point3 p = fine.grid.to_world(Index3{x, y, z});
        ASSERT_NEAR(fine.at({x, y, z}), 8 * p.x - 4 * p.y + 2 * p.z, 1.01);
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 500);
}

TEST(Resample, OntoItsOwnGridChangesNothing) {
  const Volume volume = ramp();
  EXPECT_EQ(resample(volume, volume.grid).hu, volume.hu);
}

TEST(Resample, OutsideTheSourceIsAir) {
  const Volume volume = ramp();
  Grid target = volume.grid;
  target.origin.x -= 5;  // five voxels more on the right side of the patient
  const Volume moved = resample(volume, target);
  EXPECT_EQ(moved.at({4, 3, 3}), kAirHu);
  EXPECT_EQ(moved.at({5, 3, 3}), volume.at({0, 3, 3}));
  target.origin.x += 1000;
  const Volume away = resample(volume, target);
  EXPECT_TRUE(
      std::all_of(away.hu.begin(), away.hu.end(), [](std::int16_t hu) { return hu == kAirHu; }));
}

TEST(Resample, AnObliqueVolumeResamplesAlongItsOwnAxes) {
  Volume volume = ramp();
  const double c = std::cos(0.3), s = std::sin(0.3);
  volume.grid.direction = {c, -s, 0, s, c, 0, 0, 0, 1};
  const Volume fine = resample(volume, with_spacing(volume.grid, {0.5, 0.75, 1}));
  EXPECT_EQ(fine.grid.direction, volume.grid.direction);
  // Fine voxels 2i and 2i+1 lie a quarter of a voxel before and behind coarse voxel i.
  const int mean = (fine.at({20, 20, 16}) + fine.at({21, 21, 17})) / 2;
  EXPECT_NEAR(mean, volume.at({10, 10, 8}), 1);
}

TEST(Resample, KeepsTheId) {
  Volume volume = ramp();
  volume.id = "0011223344556677";
  EXPECT_EQ(resample(volume, volume.grid).id, volume.id);
}

TEST(BodyBox, IsTightAndInclusive) {
  Volume volume = ramp();
  std::fill(volume.hu.begin(), volume.hu.end(), kAirHu);
  volume.at({3, 4, 5}) = 40;
  volume.at({10, 6, 15}) = -499;
  volume.at({20, 19, 0}) = -500;  // not above the threshold
  const Box box = body_box(volume);
  EXPECT_EQ(box.low, (Index3{3, 4, 5}));
  EXPECT_EQ(box.high, (Index3{10, 6, 15}));
}

TEST(BodyBox, IsTheWholeGridWhereThereIsNoBody) {
  Volume volume = ramp();
  std::fill(volume.hu.begin(), volume.hu.end(), kAirHu);
  const Box box = body_box(volume);
  EXPECT_EQ(box.low, (Index3{0, 0, 0}));
  EXPECT_EQ(box.high, (Index3{23, 19, 15}));
}

}  // namespace
}  // namespace homolog

// Claims about which crops a shard takes: none that is constant, air, nearly all outside, or there
// already; and about their spacing.
#include "sharding/group_shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "sharding/store/shard_reader.h"
#include "tests/unit/shard_build/moved_bodies.h"

namespace homolog::shard {
namespace {

namespace fs = std::filesystem;

class GroupShardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::set_terminal_level("off");
    file_ = fs::temp_directory_path() / ("homolog_group_" + std::to_string(::getpid()) + ".h5");
    plan_.crop = {16, 16, 16};
  }
  void TearDown() override { fs::remove(file_); }
  void make(const std::vector<Landmark>& landmarks) {
    fs::remove(file_);
    GroupShard shard(file_, header_of(plan_, hex64(1), hex64(2)), plan_, group_, ids_, studies_);
    for (const Landmark& landmark : landmarks) shard.add(landmark);
    counts_ = shard.counts();
    summary_ = shard.seal();
  }
  // One landmark of two crops and their two pairs.
  static Landmark landmark(const Index3& a, const Index3& b) {
    return {{{0, a}, {1, b}}, {{0, 1, 0.9}, {1, 0, 0.9}}};
  }
  // The window shows one value, though the body is there.
  void fill(std::size_t study, std::int16_t hu) {
    auto& volume = const_cast<Volume&>(*studies_.volume(study));
    std::fill(volume.hu.begin(), volume.hu.end(), hu);
  }

  MovedBodies studies_{2};
  std::vector<std::string> ids_{hex64(1), hex64(2)};
  Group group_{"train", {0, 1}};
  ShardPlan plan_;
  fs::path file_;
  CropCounts counts_;
  store::ShardSummary summary_;
};

TEST_F(GroupShardTest, AVoxelThatTwoLandmarksWereMatchedToIsOneCropAndOnePair) {
  make({landmark({20, 20, 20}, {21, 20, 20}), landmark({20, 20, 20}, {21, 20, 20}),
        landmark({22, 20, 20}, {21, 20, 20})});
  EXPECT_EQ(summary_.crops, 3);
  EXPECT_EQ(summary_.pairs, 4);
  EXPECT_EQ(counts_.refused(), 0);
}

TEST_F(GroupShardTest, CropsThatShowOneValueAreRefusedInEveryEncoding) {
  for (const std::int16_t hu : {-400, 0, 300}) {
    fill(1, hu);
    for (const char* voxel : {"u16", "u8", "i16"}) {
      plan_.voxel = voxel;
      make({landmark({20, 20, 20}, {21, 20, 20})});
      EXPECT_EQ(counts_.constant, 1) << voxel << hu;
      EXPECT_EQ(summary_.pairs, 0);
      EXPECT_FALSE(fs::exists(file_)) << "no pair, no shard";
    }
  }
}

TEST_F(GroupShardTest, ValuesBeyondTheWindowDoNotMakeACropVary) {
  auto& volume = const_cast<Volume&>(*studies_.volume(1));
  for (std::size_t i = 0; i < volume.hu.size(); ++i)
    volume.hu[i] = static_cast<std::int16_t>(-400 + static_cast<int>(i % 200));
  for (const char* voxel : {"u16", "u8", "i16"}) {
    plan_.voxel = voxel;
    make({landmark({20, 20, 20}, {21, 20, 20})});
    EXPECT_EQ(counts_.constant, 1) << voxel;
  }
}

TEST_F(GroupShardTest, AirAndCropsNearlyAllOutsideAreRefusedAndCountedApart) {
  fill(1, -900);
  make({landmark({20, 20, 20}, {21, 20, 20})});
  EXPECT_EQ(counts_.air, 1);
  plan_.refuse_outside = 0.3;
  make({landmark({20, 20, 20}, {0, 0, 0})});
  EXPECT_EQ(counts_.outside, 1);
  EXPECT_EQ(counts_.air, 0);
}

TEST_F(GroupShardTest, TheVoxelsOfAnotherCropAreRefused) {
  auto& volume = const_cast<Volume&>(*studies_.volume(1));
  volume.hu = studies_.volume(0)->hu;  // one scan under two names
  make({landmark({20, 20, 20}, {20, 20, 20}), landmark({22, 20, 20}, {20, 20, 20})});
  EXPECT_EQ(counts_.repeated, 1);
  EXPECT_EQ(summary_.pairs, 2) << "of the second landmark alone";
  make({landmark({22, 20, 20}, {25, 20, 20}), landmark({25, 20, 20}, {22, 20, 20})});
  EXPECT_EQ(counts_.repeated, 2);
  EXPECT_EQ(summary_.crops, 2);
  EXPECT_EQ(summary_.pairs, 2);
}

TEST_F(GroupShardTest, CropsOfAWantedSpacingSayItAndKeepTheirLandmark) {
  plan_.spacing = "2,1.5,2";
  plan_.margin = 2;
  make({landmark({20, 20, 20}, {21, 22, 20})});
  const store::ShardReader shard(file_);
  ASSERT_EQ(shard.crops(), 2);
  const auto rows = shard.read_crop_table();
  const Index3 size = shard.header().crop, at = landmark_in_crop(size);
  EXPECT_EQ(size, (Index3{20, 20, 20}));
  std::vector<std::uint16_t> values(static_cast<std::size_t>(shard.header().voxels()));
  store::ShardReader::Scratch scratch;
  for (std::int64_t row = 0; row < 2; ++row) {
    const auto& crop = rows[static_cast<std::size_t>(row)];
    EXPECT_EQ(crop.spacing_mm, (std::array<double, 3>{2, 1.5, 2}));
    const Volume& volume = *studies_.volume(static_cast<std::size_t>(row));
    const Index3 voxel{crop.voxel[0], crop.voxel[1], crop.voxel[2]};
    const Point3 world = volume.grid.to_world(voxel);
    EXPECT_EQ(crop.centre_lps_mm, (std::array<double, 3>{world.x, world.y, world.z}));
    shard.read_window(row, values, scratch);
    EXPECT_EQ(values[static_cast<std::size_t>((at.z * size.y + at.y) * size.x + at.x)],
              std::clamp<int>(volume.at(voxel), -125, 255) + 125);
  }
}

TEST_F(GroupShardTest, TheVolumesOwnSpacingWritesTheSameCrops) {
  const auto hashes = [this] {
    make({landmark({20, 20, 20}, {21, 20, 20})});
    const store::ShardReader shard(file_);
    return std::pair(shard.chunk(0).checksum, shard.chunk(1).checksum);
  };
  const auto native = hashes();
  plan_.spacing = "1,1,2";
  EXPECT_EQ(hashes(), native);
  plan_.spacing = "1,1,1.9";
  EXPECT_NE(hashes(), native);
}

}  // namespace
}  // namespace homolog::shard

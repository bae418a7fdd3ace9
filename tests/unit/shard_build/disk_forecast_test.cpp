// What a store is said to take on disk holds for stores that are written.
#include "sharding/disk_forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/counter_rng.h"
#include "base/error.h"
#include "base/hash.h"
#include "sharding/store/shard_writer.h"

namespace homolog::shard {
namespace {

namespace fs = std::filesystem;

const Group kFour{"train", {0, 1, 2, 3}};

ShardPlan small_plan(const std::string& voxel) {
  ShardPlan plan;
  plan.crop = {16, 16, 16};
  plan.landmarks_per_study = 10;
  plan.voxel = voxel;
  return plan;
}

// Bytes of the shard of `group` with each crop and pair that it may hold; HU from `draw`.
template <class Draw>
std::uint64_t bytes_written(const ShardPlan& plan, const Group& group, const Draw& draw) {
  const auto file = fs::temp_directory_path() /
                    ("homolog_forecast_" + std::to_string(::getpid()) + "-shard-00000.h5");
  const auto header = header_of(plan, hex64(0), hex64(0));
  std::vector<store::StudyRecord> studies;
  for (const std::size_t study : group.studies)
    studies.push_back(store::StudyRecord::named(hex64(study + 1)));
  store::ShardWriter writer(file, header, studies);
  const auto landmarks = static_cast<std::int64_t>(group.studies.size()) * plan.landmarks_per_study;
  for (std::int64_t landmark = 0; landmark < landmarks; ++landmark) {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t study = 0; study < studies.size(); ++study) {
      store::CropRecord record;
      record.study = study;
      std::vector<std::int16_t> hu(static_cast<std::size_t>(header.voxels()));
      for (auto& value : hu) value = draw();
      rows.push_back(writer.add_crop(record, hu));
    }
    for (const std::uint32_t query : rows) {
      for (const std::uint32_t key : rows) {
        if (query != key) writer.add_pair({query, key, 0.9F});
      }
    }
  }
  const std::uint64_t bytes = writer.seal().bytes;
  fs::remove(file);
  return bytes;
}

TEST(DiskForecast, CountsLandmarksCropsAndBytes) {
  ShardPlan plan;
  plan.crop = {64, 64, 32};
  plan.landmarks_per_study = 10;
  const auto f = forecast_of(kFour, plan);
  EXPECT_EQ(f.landmarks, 40);
  EXPECT_EQ(f.least_crops, 80);
  EXPECT_EQ(f.most_crops, 160);
  const double raw = 160.0 * 64 * 64 * 32 * 2;
  EXPECT_NEAR(static_cast<double>(f.most_bytes) / raw, 0.5, 0.01);
  EXPECT_LT(f.floor_bytes, f.least_bytes);
  EXPECT_LT(f.least_bytes, f.most_bytes);
  EXPECT_LT(f.most_bytes, f.bound_bytes);
  plan.voxel = "u8";
  EXPECT_LT(forecast_of(kFour, plan).most_bytes, f.most_bytes);
}

TEST(DiskForecast, NoStoreIsLargerThanItsBoundHoweverSmallItsCropsAndNoisyItsVoxels) {
  CounterRng rng(1, "noise", 0);
  const auto noise = [&] { return static_cast<std::int16_t>(rng.below(2001)) - 1000; };
  const auto hold = [&](ShardPlan plan, std::int64_t landmarks) {
    plan.landmarks_per_study = landmarks;
    plan.window_low = -1000;
    plan.window_high = 1000;
    EXPECT_LE(bytes_written(plan, kFour, noise), forecast_of(kFour, plan).bound_bytes)
        << plan.voxel << ' ' << plan.codec << ' ' << landmarks;
  };
  for (const char* codec : {"lz4", "zstd"}) {
    for (const char* voxel : {"u8", "u16", "i16"}) {
      ShardPlan plan = small_plan(voxel);
      plan.codec = codec;
      for (const std::int64_t landmarks : {1, 4}) hold(plan, landmarks);
    }
  }
  hold(small_plan("u8"), 40);  // more crops than one node of HDF5's index holds
}

TEST(DiskForecast, CropsThatAreNearlyAllAirAreNotRefusedForWantOfRoom) {
  ShardPlan plan = small_plan("u16");
  plan.crop = {64, 64, 32};
  plan.studies_per_landmark = 2;
  std::int64_t n = 0;
  CounterRng rng(1, "body", 0);
  // A body in 20 of 1000 voxels, air elsewhere.
  const auto air = [&] {
    return static_cast<std::int16_t>(n++ % 1000 < 20 ? static_cast<int>(rng.below(200)) : -1000);
  };
  const Group two{"train", {0, 1}};
  const auto f = forecast_of(two, plan);
  const std::uint64_t written = bytes_written(plan, two, air);
  EXPECT_LT(written, f.least_bytes);  // below the rule, which is why it must not refuse
  EXPECT_GT(written, f.floor_bytes);
}

TEST(DiskForecast, AShardThatIsWrittenNeedsItsRoomBehindTheCrops) {
  EXPECT_GE(needed_bytes(forecast_of(kFour, small_plan("u8"))),
            store::ShardWriter::kRoomBehindCrops);
  EXPECT_EQ(needed_bytes({}), 0U);  // nothing is left to write
}

TEST(DiskForecast, ADiskThatCannotHoldTheFloorIsRefused) {
  DiskForecast f;
  f.shards = 1;
  const auto out = fs::temp_directory_path() / "not" / "yet" / "there";
  f.floor_bytes = free_bytes(out) / 2;
  f.least_bytes = ~std::uint64_t{0};  // an estimate refuses nothing
  EXPECT_NO_THROW(require_space(f, out));
  f.floor_bytes = ~std::uint64_t{0};
  try {
    require_space(f, out);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(exit_code(e.fault()), 4);
    EXPECT_THAT(e.remedy(), ::testing::HasSubstr("--voxel u8"));
  }
}

}  // namespace
}  // namespace homolog::shard

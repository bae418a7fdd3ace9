// What `homolog store stats` counts, on stores whose answer is known beforehand.
#include "sharding/store/commands/stats.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "sharding/store/commands/body_coverage.h"
#include "sharding/store/landmark_groups.h"
#include "sharding/store/store_manifest.h"
#include "sharding/store/store_names.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/store_commands/temporary_folder.h"

namespace homolog::store {
namespace {

TEST(LandmarkGroups, CropsThatPairsJoinAreOneLandmarkWhateverTheOrder) {
  const std::vector<PairRecord> pairs{{5, 2, 0.9F}, {0, 1, 0.9F}, {2, 4, 0.9F}, {4, 5, 0.8F}};
  EXPECT_EQ(crops_per_landmark(6, pairs), (std::vector<std::int64_t>{2, 3, 1}));
}

StudyRecord body_of_100() {
  StudyRecord study = StudyRecord::named("00000000000000aa");
  study.grid = {100, 100, 100};
  study.body_first = {0, 0, 0};
  study.body_last = {99, 99, 99};
  return study;
}

CropRecord crop_at(std::array<std::int32_t, 3> voxel, double volume_mm, double crop_mm) {
  CropRecord crop;
  crop.voxel = voxel;
  for (std::size_t a = 0; a < 3; ++a) {
    crop.centre_lps_mm[a] = volume_mm * voxel[a];
    crop.spacing_mm[a] = crop_mm;
  }
  return crop;
}

TEST(BodyCoverage, IsTheShareOfTheBoxThatCropsShowWithoutTheirMargin) {
  ShardHeader header;
  header.crop = {100, 100, 50};
  const std::vector<CropRecord> lower{crop_at({49, 49, 25}, 1, 1)};
  EXPECT_NEAR(covered_share(header, body_of_100(), lower), 0.5, 1e-9);
  header.crop = {120, 120, 70};
  header.margin = 10;
  EXPECT_NEAR(covered_share(header, body_of_100(), lower), 0.5, 1e-9);
  const std::vector<CropRecord> both{crop_at({49, 49, 25}, 1, 1), crop_at({49, 49, 65}, 1, 1)};
  EXPECT_NEAR(covered_share(header, body_of_100(), both), 0.9, 1e-9);
}

TEST(BodyCoverage, ResampledCropsCoverTheirMillimetresNotTheirVoxels) {
  ShardHeader header;
  header.crop = {50, 50, 50};
  // Voxels of the volume are 1 mm, of the crops 2 mm: each covers 100 mm.
  const std::vector<CropRecord> crops{crop_at({49, 49, 50}, 1, 2), crop_at({50, 50, 51}, 1, 2)};
  EXPECT_EQ(volume_spacing(crops), (std::array<double, 3>{1, 1, 1}));
  EXPECT_GT(covered_share(header, body_of_100(), crops), 0.95);
}

TEST(BodyCoverage, HeightIsZeroAtTheLowestSliceOfTheBodyAndOneAtItsHighest) {
  StudyRecord study = body_of_100();
  study.body_first[2] = 20;
  EXPECT_DOUBLE_EQ(height_in_body(study, crop_at({0, 0, 20}, 1, 1)), 0);
  EXPECT_DOUBLE_EQ(height_in_body(study, crop_at({0, 0, 99}, 1, 1)), 1);
  EXPECT_FALSE(knows_body(StudyRecord::named("00000000000000ab")));
}

// Two studies, one of an unknown body; landmarks of one HU but for a voxel, at known heights.
StoreManifest two_studies(const std::filesystem::path& folder) {
  StoreManifest manifest;
  manifest.header.crop = {16, 16, 16};
  manifest.header.sam_hash = manifest.header.plan_hash = hex64(0);
  StudyRecord known = body_of_100(), unknown = StudyRecord::named("00000000000000bb");
  ShardWriter writer(folder / shard_file_name(0), manifest.header, {known, unknown});
  for (const int height : {10, 20, 89}) {
    std::vector<std::int16_t> hu(4096, static_cast<std::int16_t>(height - 125));
    hu.front() = height == 20 ? 10 - 125 : 20 - 125;  // a constant crop is a bad record
    CropRecord query = crop_at({50, 50, height}, 1, 1), key = crop_at({8, 8, 8}, 1, 1);
    key.study = 1;
    key.outside_share = 0.25F;
    const std::uint32_t a = writer.add_crop(query, hu), b = writer.add_crop(key, hu);
    writer.add_pair({a, b, 0.7F});
    writer.add_pair({b, a, 0.7F});
  }
  manifest.shards.push_back(writer.seal());
  manifest.studies["train"] = {known.name(), unknown.name()};
  manifest.subjects[unknown.name()] = hex64(7);
  save_manifest(folder, manifest);
  return manifest;
}

TEST(Stats, CountsScoresLandmarksHeightsAndLevels) {
  const test::TemporaryFolder folder("stats");
  two_studies(folder.path());
  std::int64_t shards = 0;
  const auto row = stats(folder.path(), {.sample = 100}, [&](std::int64_t n) { shards += n; });
  EXPECT_EQ(shards, 1);
  EXPECT_EQ(row["splits"]["train"]["pairs"], 6);
  EXPECT_EQ(row["splits"]["train"]["subjects"], 2);
  EXPECT_EQ(row["splits"]["validation"]["pairs"], 0);
  EXPECT_EQ(row["splits"]["train"]["score"]["histogram"]["counts"][17], 6);  // 0.7 to 0.8
  EXPECT_EQ(row["landmarks"]["count"], 3);
  EXPECT_EQ(row["landmarks"]["by_studies"]["2"], 3);
  EXPECT_EQ(row["pairs_per_study"]["max"], 6);
  EXPECT_EQ(row["body_covered"]["count"], 1);
  EXPECT_EQ(row["body_unknown"], 1);
  const auto heights = row["height_in_body"]["counts"].get<std::vector<std::int64_t>>();
  EXPECT_EQ(heights[2], 1);
  EXPECT_EQ(heights[4], 1);
  EXPECT_EQ(heights[17], 1);
  EXPECT_EQ(row["outside_share"]["max"], 0.25);
  EXPECT_EQ(row["window"]["crops"], 6);
  EXPECT_EQ(row["window"]["levels"], 381);
  EXPECT_EQ(row["window"]["levels_used"], 3);
  EXPECT_EQ(row["window"]["hu_median"], 20 - 125);
  EXPECT_EQ(row["window"]["hu_p99"], 89 - 125);
  EXPECT_LT(row["stored_of_raw"]["max"], 0.5);
  // Crops 0, 2 and 4: one of each landmark.
  EXPECT_EQ(stats(folder.path(), {.sample = 3})["window"]["levels_used"], 3);
}

TEST(Stats, TheSampleIsTakenOverAllShardsAndTheSameEachTime) {
  const test::TemporaryFolder folder("stats_sample");
  test::write_synthetic_store(folder.path(), {.train = 12, .validation = 4});
  const auto row = stats(folder.path(), {.sample = 5});
  EXPECT_EQ(row["window"]["crops"], 5);
  EXPECT_EQ(row, stats(folder.path(), {.sample = 5}));
}

}  // namespace
}  // namespace homolog::store

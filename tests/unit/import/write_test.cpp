// What is written comes back: same voxels, same place in the patient, left stays left.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "sharding/import/content.h"
#include "sharding/import/load.h"

namespace homolog::import {
namespace {

namespace fs = std::filesystem;

class WriteTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_write_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

// Air with a block at the patient's left, front, top: no two axes look alike.
Volume lopsided() {
  Volume volume;
  volume.id = "0123456789abcdef";
  volume.grid.size = {17, 13, 9};
  volume.grid.origin = {-31.5, 12.25, 100.5};
  volume.grid.spacing = {0.75, 1.25, 2.5};
  volume.hu.assign(static_cast<std::size_t>(volume.grid.voxels()), kAirHu);
  for (std::int64_t z = 6; z < 9; ++z) {
    for (std::int64_t y = 1; y < 4; ++y) {
      for (std::int64_t x = 12; x < 16; ++x)
        volume.at({x, y, z}) = static_cast<std::int16_t>(40 + x + 10 * y + 100 * z);
    }
  }
  return volume;
}

CatalogEntry entry_for(const fs::path& file, const Volume& volume) {
  CatalogEntry entry;
  entry.files = FileList({file});
  const std::string name = file.filename().string();
  entry.format = name.ends_with(".mha") ? "meta" : name.ends_with(".nrrd") ? "nrrd" : "nifti";
  entry.id = volume.id;
  describe(volume, entry);
  return entry;
}

TEST_P(WriteTest, AVolumeComesBackAtTheSamePlace) {
  const Volume volume = lopsided();
  const fs::path file = folder_ / (std::string("body") + GetParam());
  write_volume(volume, file);
  const Volume back = load_volume(entry_for(file, volume));
  EXPECT_EQ(back.id, volume.id);
  EXPECT_EQ(back.hu, volume.hu);
  EXPECT_EQ(back.grid.size, volume.grid.size);
  EXPECT_LT(distance(back.grid.to_world(Index3{12, 1, 8}), volume.grid.to_world(Index3{12, 1, 8})),
            1e-3);
  EXPECT_LT(distance(back.grid.to_world(Index3{0, 12, 0}), volume.grid.to_world(Index3{0, 12, 0})),
            1e-3);
  std::size_t entries = 0;
  for (const auto& left : fs::directory_iterator(folder_)) entries += left.exists();
  EXPECT_EQ(entries, 1U) << "a temporary file was left";
}

TEST_P(WriteTest, AnObliqueVolumeKeepsItsCosines) {
  Volume volume = lopsided();
  const double c = std::cos(0.3), s = std::sin(0.3);
  volume.grid.direction = {1, 0, 0, 0, c, -s, 0, s, c};
  const fs::path file = folder_ / (std::string("oblique") + GetParam());
  write_volume(volume, file);
  const Volume back = load_volume(entry_for(file, volume));
  for (int i = 0; i < 9; ++i) EXPECT_NEAR(back.grid.direction[i], volume.grid.direction[i], 1e-6);
  EXPECT_LT(
      distance(back.grid.to_world(Index3{16, 12, 8}), volume.grid.to_world(Index3{16, 12, 8})),
      1e-3);
}

TEST_P(WriteTest, LabelsComeBack) {
  const Volume volume = lopsided();
  std::vector<std::uint8_t> labels(volume.hu.size());
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint8_t>(i % 251);
  const fs::path file = folder_ / (std::string("labels") + GetParam());
  write_labels(volume.grid, labels, file);
  CatalogEntry entry = entry_for(file, volume);
  entry.content_hash.clear();
  const Volume back = load_volume(entry);
  EXPECT_TRUE(std::equal(labels.begin(), labels.end(), back.hu.begin(), back.hu.end()));
}

INSTANTIATE_TEST_SUITE_P(Formats, WriteTest, ::testing::Values(".nii.gz", ".nii", ".mha", ".nrrd"),
                         [](const auto& info) {
                           std::string name(info.param + 1);
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST_F(WriteTest, AnUnknownExtensionIsAUsageFault) {
  try {
    write_volume(lopsided(), folder_ / "body.png");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Usage);
  }
}

TEST_F(WriteTest, AMissingFolderIsAnEnvironmentFaultAndLeavesNothing) {
  try {
    write_volume(lopsided(), folder_ / "nowhere" / "body.nii.gz");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Environment);
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(WriteTest, AChangedFileIsNoticedByItsContentHash) {
  Volume volume = lopsided();
  const fs::path file = folder_ / "body.nii.gz";
  const CatalogEntry entry = entry_for(file, volume);
  volume.hu[5] += 1;
  write_volume(volume, file);
  try {
    load_volume(entry);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Data);
    EXPECT_NE(error.summary().find("changed since the catalogue was made"), std::string::npos);
  }
}

}  // namespace
}  // namespace homolog::import

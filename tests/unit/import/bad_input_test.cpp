// Each broken input gets the verdict that its README expects, in a batch that goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "sharding/import/load.h"
#include "sharding/import/survey.h"
#include "sharding/import/usable.h"
#include "shared_scans.h"

namespace homolog::import {
namespace {

namespace fs = std::filesystem;

struct Case {
  const char* folder;
  Verdict verdict;     // of the worst entry
  const char* reason;  // part of one of its reasons; "" for accept
};

// d02 comes in as two volumes; d23's stray files are counted, not held against the series.
constexpr Case kCases[] = {
    {"n01-truncated-nii", Verdict::Reject, "shorter than its header says: 147315 of 245760"},
    {"n02-truncated-niigz", Verdict::Reject, "ends early"},
    {"n04-gzip-bad-crc", Verdict::Reject, "damaged"},
    {"n05-gzip-trailing-junk", Verdict::Warn, "512 bytes behind"},
    {"n07-zero-spacing", Verdict::Reject, "spacing must be above zero"},
    {"n08-negative-spacing", Verdict::Reject, "negative voxel spacing"},
    {"n10-zero-dim", Verdict::Reject, "dimension is zero"},
    {"n11-negative-dim", Verdict::Reject, "dimension is negative"},
    {"n13-huge-dims-header-bomb", Verdict::Reject, "more than the limit"},
    {"n14-dims-overflow-64bit", Verdict::Reject, "more than the limit"},
    {"n16-text-named-niigz", Verdict::Reject, "not a readable gzip stream"},
    {"n17-lfs-pointer-niigz", Verdict::Reject, "git-LFS pointer"},
    {"n19-header-only", Verdict::Reject, "shorter than its header"},
    {"n20-datatype-complex", Verdict::Reject, "complex"},
    {"n22-datatype-unknown", Verdict::Reject, "code 999"},
    {"n23-bitpix-mismatch", Verdict::Warn, "bitpix 32"},
    {"n25-vox-offset-nan", Verdict::Reject, "voxel offset"},
    {"n26-bad-magic", Verdict::Reject, "magic"},
    {"n28-constant", Verdict::Warn, "every voxel is -1024"},
    {"n29-wrong-rescale-no-intercept", Verdict::Warn, "intercept is missing"},
    {"n31-windowed-8bit", Verdict::Warn, "not HU"},
    {"n32-slope-nan", Verdict::Reject, "not finite"},
    {"n34-units-micron", Verdict::Warn, "micrometres"},
    {"n35-thin-two-slices", Verdict::Warn, "only 2 slices"},
    {"n37-label-grid-mismatch", Verdict::Reject, "label map"},
    {"n38-pair-img-missing", Verdict::Reject, ".img file"},
    {"d01-missing-slice", Verdict::Reject, "missing slice: a step of 16.00 mm"},
    {"d02-mixed-series", Verdict::Accept, ""},
    {"d04-duplicate-position", Verdict::Reject, "two slices at one place"},
    {"d05-identical-duplicates", Verdict::Warn, "repeated instances"},
    {"d07-rows-differ", Verdict::Reject, "size or spacing differs"},
    {"d08-one-slice-other-rescale", Verdict::Warn, "intercept changes"},
    {"d10-rescale-slope-zero", Verdict::Reject, "slope is 0"},
    {"d11-mr-series", Verdict::Reject, "modality MR"},
    {"d13-colour-tagged-ct", Verdict::Reject, "3 samples per pixel"},
    {"d14-rtstruct-only", Verdict::Reject, "modality RTSTRUCT"},
    {"d16-no-position", Verdict::Reject, "no slice position"},
    {"d17-instance-number-lies", Verdict::Accept, ""},
    {"d19-wrong-transfer-syntax", Verdict::Reject, "cannot decode"},
    {"d20-single-slice", Verdict::Warn, "only 1 slice"},
    {"d22-odd-file-names", Verdict::Accept, ""},
    {"d23-stray-files", Verdict::Accept, ""},
    {"d25-huge-rows", Verdict::Reject, "too short for 65535"},
    {"m01-mhd-raw-missing", Verdict::Reject, "ct.raw is missing"},
    {"m03-mhd-raw-is-lfs-pointer", Verdict::Reject, "134 of 26214400"},
    {"m04-mhd-path-traversal", Verdict::Reject, "outside its folder"},
    {"m06-mhd-huge-dims", Verdict::Reject, "more than the limit"},
    {"m07-mhd-type-unknown", Verdict::Reject, "MET_QUATERNION"},
    {"r01-nrrd-unknown-encoding", Verdict::Reject, "zstd"},
    {"r02-nrrd-gzip-truncated", Verdict::Reject, "ends early"},
    {"r04-nrrd-no-directions", Verdict::Warn, "1 mm assumed"},
    {"r05-nrrd-singular-directions", Verdict::Reject, "singular"},
    {"r07-nrrd-no-header-end", Verdict::Reject, "not terminated"},
    {"r08-nhdr-data-missing", Verdict::Reject, "ct.raw is missing"},
    {"f09-wrong-extension", Verdict::Warn, "name disagree"},
};

class BadInput : public ::testing::TestWithParam<Case> {};

TEST_P(BadInput, GetsItsVerdict) {
  HOMOLOG_NEED_SHARED("ct-bad");
  const Case& expected = GetParam();
  const Survey found = survey({shared_folder() / "ct-bad" / expected.folder}, "key", 1);
  ASSERT_FALSE(found.entries.empty());
  Verdict worst = Verdict::Accept;
  std::string reasons;
  for (const CatalogEntry& entry : found.entries) {
    worst = std::max(worst, entry.verdict);
    for (const std::string& reason : entry.reasons) reasons += reason + "\n";
  }
  EXPECT_STREQ(verdict_name(worst), verdict_name(expected.verdict)) << reasons;
  EXPECT_THAT(reasons, testing::HasSubstr(expected.reason));
}

INSTANTIATE_TEST_SUITE_P(Table, BadInput, ::testing::ValuesIn(kCases), [](const auto& info) {
  std::string name = info.param.folder;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(BadInputFolder, TheTableLeavesNoCaseOut) {
  HOMOLOG_NEED_SHARED("ct-bad");
  std::vector<std::string> known = {"f02-no-images-folder",
                                    "f03-unreadable"};  // below: modes are not kept by git
  for (const Case& c : kCases) known.emplace_back(c.folder);
  for (const auto& folder : fs::directory_iterator(shared_folder() / "ct-bad")) {
    if (folder.is_directory()) {
      EXPECT_THAT(known, testing::Contains(folder.path().filename().string()));
    }
  }
}

class BadFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_bad_files_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(BadFiles, AMissingPathIsADataFault) {
  try {
    survey({folder_ / "nowhere"}, "key", 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Data);
    EXPECT_THAT(error.summary(), testing::HasSubstr("nowhere"));
  }
}

TEST_F(BadFiles, AnEmptyFolderHoldsNothing) {
  const Survey found = survey({folder_}, "key", 1);
  EXPECT_TRUE(found.entries.empty());
  EXPECT_EQ(found.looked_at, 0);
}

TEST_F(BadFiles, FilesThatAreNoScansAreCountedOnly) {
  std::ofstream(folder_ / "notes.txt") << "\n";
  std::ofstream(folder_ / "shot.png") << "PNG";
  const Survey found = survey({folder_}, "key", 1);
  EXPECT_TRUE(found.entries.empty());
  EXPECT_EQ(found.ignored, 2);
}

TEST_F(BadFiles, APipeIsNotOpenedAndADanglingLinkNotFollowed) {
  ASSERT_EQ(::mkfifo((folder_ / "ct.nii").c_str(), 0600), 0);
  fs::create_symlink(folder_ / "nowhere.nii", folder_ / "link.nii");
  const Survey found = survey({folder_}, "key", 2);  // would hang on the pipe
  EXPECT_EQ(found.looked_at, 0);
}

TEST_F(BadFiles, AnEmptyFileNamedLikeAScanIsRefused) {
  std::ofstream(folder_ / "ct.nii.gz");
  fs::create_directories(folder_ / "folder.nii.gz");
  const Survey found = survey({folder_}, "key", 1);
  ASSERT_EQ(found.entries.size(), 2U);
  EXPECT_THAT(found.entries[0].reasons[0], testing::HasSubstr("empty"));
  EXPECT_THAT(found.entries[1].reasons[0], testing::HasSubstr("is a folder"));
}

TEST_F(BadFiles, AnUnreadableFileAndFolderAreRefusedByName) {
  std::ofstream(folder_ / "ct.nii") << "x";
  fs::create_directories(folder_ / "closed");
  fs::permissions(folder_ / "ct.nii", fs::perms::none);
  fs::permissions(folder_ / "closed", fs::perms::none);
  const bool root = ::geteuid() == 0;  // root reads everything: be nobody for a moment
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const Survey found = survey({folder_}, "key", 1);
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  fs::permissions(folder_ / "closed", fs::perms::owner_all);
  ASSERT_EQ(found.entries.size(), 2U);
  for (const CatalogEntry& entry : found.entries)
    EXPECT_THAT(entry.reasons[0], testing::HasSubstr("ermission"));
}

TEST_F(BadFiles, WantOfMemoryEndsTheSurveyAndIsNoFaultOfTheScan) {
  Volume volume;
  volume.grid.size = {256, 256, 256};  // 64 MiB of floats while it is read
  volume.hu.assign(static_cast<std::size_t>(volume.grid.voxels()), kAirHu);
  write_volume(volume, folder_ / "ct.nii");
  const auto starved = [this](std::size_t spare_mib) {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t most =
        pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + (spare_mib << 20);
    const rlimit limit{most, most};
    ::setrlimit(RLIMIT_AS, &limit);
    try {
      survey({folder_}, "key", 1);
    } catch (const Error& error) {
      ::_exit(error.fault() == Fault::Environment &&
                      error.remedy().find("--jobs") != std::string::npos
                  ? 0
                  : 2);
    }
    ::_exit(1);
  };
  for (const std::size_t spare_mib : {5, 20, 40, 70})
    EXPECT_EXIT(starved(spare_mib), ::testing::ExitedWithCode(0), "") << spare_mib;
}

TEST(UsableScans, ValuesThatAreNotHuAndTooFewSlicesAreLeftOutByName) {
  HOMOLOG_NEED_SHARED("ct-bad");
  std::vector<CatalogEntry> all;
  for (const char* name : {"n29-wrong-rescale-no-intercept", "n31-windowed-8bit",
                           "n35-thin-two-slices", "d20-single-slice", "d17-instance-number-lies"}) {
    for (CatalogEntry& entry : survey({shared_folder() / "ct-bad" / name}, "key", 1).entries)
      all.push_back(std::move(entry));
  }
  ASSERT_EQ(all.size(), 5U);
  const Usable result = usable(all, 2, {1, 1, 1});
  ASSERT_EQ(result.left_out.size(), 4U);
  EXPECT_THAT(result.left_out[0].reason, testing::HasSubstr("HU + 1024"));
  EXPECT_THAT(result.left_out[1].reason, testing::HasSubstr("8-bit"));
  EXPECT_THAT(result.left_out[2].reason, testing::HasSubstr("too small"));
  EXPECT_EQ(result.left_out[3].id, all[3].id);
  EXPECT_EQ(result.entries.front().id, all[4].id);
}

TEST(UsableScans, OneBelowACoarseCellIsLeftOutAndNoneLeftIsAFault) {
  CatalogEntry small;
  small.id = "small";
  small.grid.size = {64, 64, 5};
  CatalogEntry large = small;
  large.id = "large";
  large.grid.size = {64, 64, 8};
  EXPECT_EQ(usable({small, large}, 2, {16, 16, 4}).entries.front().id, "large");
  EXPECT_THROW(usable({small}, 2, {16, 16, 4}), Error);
}

}  // namespace
}  // namespace homolog::import

// Real scans: each encoding gives the same volume, each CT is found, nothing of the patient leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>

#include "base/error.h"
#include "sharding/import/load.h"
#include "sharding/import/scan_reader.h"
#include "sharding/import/survey.h"
#include "shared_scans.h"

namespace homolog::import {
namespace {

namespace fs = std::filesystem;

const Survey& real_scans() {
  static const Survey found = survey({shared_folder() / "ct"}, "key", 2);
  return found;
}

std::string first_folder(const CatalogEntry& entry) {
  return (*entry.files.front().lexically_relative(fs::canonical(shared_folder() / "ct")).begin())
      .string();
}

TEST(RealScans, EachUsableCtIsFoundAndTheRestRefused) {
  HOMOLOG_NEED_SHARED("ct");
  std::map<std::string, std::set<std::string>> verdicts;
  for (const CatalogEntry& entry : real_scans().entries)
    verdicts[first_folder(entry)].insert(verdict_name(entry.verdict));
  for (const char* folder : {"lungdx-a0001", "lungdx-a0002", "lungdx-a0002-b70f-nrrd", "lidc-0003",
                             "ts-abdomen", "ts-abdomen-slab", "derived-encodings"}) {
    EXPECT_TRUE(verdicts[folder].count("accept")) << folder;
  }
  for (const char* folder :
       {"ct0012-enhanced", "ct1-syntaxes", "dcmqi-ct3slice", "lungmask-2slices", "niivue-ct-pitch",
        "nysbu-a002304-mpr", "pydicom-ct-small", "pydicom-j2k-pixelrep"}) {
    EXPECT_TRUE(verdicts[folder].count("warn")) << folder;
    EXPECT_FALSE(verdicts[folder].count("accept")) << folder;
  }
  for (const char* folder :
       {"ts-mr-notct", "dcmqi-24x38x3", "d2n-gantrytilting-001", "d2n-sliceincrement-001"}) {
    EXPECT_EQ(verdicts[folder], std::set<std::string>{"reject"}) << folder;
  }
  for (const CatalogEntry& entry : real_scans().entries) {
    if (entry.files.front().string().find("/labels/") != std::string::npos) {
      EXPECT_EQ(entry.verdict, Verdict::Reject) << entry.files.front();
    }
  }
}

TEST(RealScans, HuRangesAndGridsAreTheKnownOnes) {
  HOMOLOG_NEED_SHARED("ct");
  int checked = 0;
  for (const CatalogEntry& entry : real_scans().entries) {
    if (entry.verdict == Verdict::Reject) continue;
    const std::string folder = first_folder(entry);
    if (folder == "lungdx-a0001") {
      EXPECT_EQ(entry.grid.size, (Index3{512, 512, 64}));
      EXPECT_NEAR(entry.grid.spacing.z, 5, 1e-6);
      EXPECT_EQ(entry.hu_min, -1024);
      EXPECT_EQ(entry.hu_max, 2976);
      ++checked;
    } else if (folder == "ts-abdomen") {
      EXPECT_EQ(entry.original_orientation, "RAS");
      EXPECT_EQ(entry.grid.size, (Index3{122, 101, 112}));
      EXPECT_EQ(entry.hu_min, -1207);
      EXPECT_EQ(entry.hu_max, 3382);
      EXPECT_LE(entry.body_extent_mm.x, 366);
      EXPECT_GT(entry.body_extent_mm.x, 250);
      ++checked;
    } else if (folder == "ct1-syntaxes") {
      EXPECT_EQ(entry.hu_min, -3024);
      EXPECT_EQ(entry.hu_max, 1254);
      ++checked;
    } else if (folder ==
               "pydicom-j2k-pixelrep") {  // 13 bits signed, in a stream that says unsigned
      EXPECT_EQ(entry.hu_min, -2000);
      EXPECT_EQ(entry.hu_max, 1896);
      ++checked;
    } else if (folder == "niivue-ct-pitch") {  // 16.5 degrees, kept
      EXPECT_NEAR(entry.grid.direction[4], 0.9588, 1e-3);
      EXPECT_NEAR(std::abs(entry.grid.direction[5]), 0.284, 1e-3);
      ++checked;
    }
  }
  EXPECT_EQ(checked, 5);
}

TEST(RealScans, ThirteenEncodingsGiveTheSameHuAtTheSamePlace) {
  HOMOLOG_NEED_SHARED("ct/derived-encodings");
  const fs::path folder = shared_folder() / "ct/derived-encodings";
  std::vector<Scan> scans;
  for (const auto& file : fs::directory_iterator(folder)) {
    const std::string name = file.path().filename().string();
    if (name.ends_with(".raw") || name.ends_with(".img")) continue;
    const bool meta = name.ends_with(".mha") || name.ends_with(".mhd"),
               nrrd = name.ends_with(".nrrd") || name.ends_with(".nhdr");
    scans.push_back(canonical(read_image_file(file.path(), meta   ? "meta"
                                                           : nrrd ? "nrrd"
                                                                  : "nifti")
                                  .scan));
    const Scan &first = scans.front(), &last = scans.back();
    EXPECT_EQ(last.hu, first.hu) << name;
    EXPECT_EQ(last.grid.size, first.grid.size) << name;
    for (const Index3 corner : {Index3{0, 0, 0}, Index3{63, 0, 0}, Index3{0, 63, 29}}) {
      EXPECT_LT(distance(last.grid.to_world(corner), first.grid.to_world(corner)), 1e-3) << name;
    }
  }
  EXPECT_EQ(scans.size(), 13U);
}

TEST(RealScans, OneOfThirteenEqualVolumesStays) {
  HOMOLOG_NEED_SHARED("ct/derived-encodings");
  const Survey found = survey({shared_folder() / "ct/derived-encodings"}, "key", 2);
  ASSERT_EQ(found.entries.size(), 13U);
  EXPECT_EQ(found.count(Verdict::Accept), 1);
  for (const CatalogEntry& entry : found.entries) {
    if (entry.verdict == Verdict::Accept) continue;
    EXPECT_THAT(entry.reasons, testing::ElementsAre(testing::HasSubstr("duplicate of")));
  }
}

TEST(RealScans, TransferSyntaxesGiveIdenticalHu) {
  HOMOLOG_NEED_SHARED("ct");
  for (const char* folder : {"ct1-syntaxes", "ct0012-enhanced"}) {
    std::vector<Scan> scans;
    for (const auto& file : fs::directory_iterator(shared_folder() / "ct" / folder)) {
      if (file.path().extension() == ".dcm") scans.push_back(read_dicom({file.path()}).scan);
    }
    ASSERT_EQ(scans.size(), 3U) << folder;
    EXPECT_EQ(scans[1].hu, scans[0].hu) << folder;
    EXPECT_EQ(scans[2].hu, scans[0].hu) << folder;
    EXPECT_EQ(scans[2].grid, scans[0].grid) << folder;
  }
}

TEST(RealScans, FilesOfASeriesAreListedInSliceOrder) {
  HOMOLOG_NEED_SHARED("ct");
  const Survey found = survey({shared_folder() / "ct/lidc-0003/dicom"}, "key", 1);  // named by z
  ASSERT_EQ(found.entries.size(), 1U);
  double before = -1e9;
  for (const fs::path& file : found.entries[0].files.paths()) {
    const double z = std::stod(file.stem().string());
    EXPECT_GT(z, before);
    before = z;
  }
}

TEST(RealScans, InstanceNumbersAndFileNamesDoNotMatter) {
  HOMOLOG_NEED_SHARED("ct-bad");
  const auto content = [](const char* folder) {
    const Survey found = survey({shared_folder() / "ct-bad" / folder}, "key", 1);
    return found.entries.size() == 1 ? found.entries[0].content_hash : std::string(folder);
  };
  EXPECT_EQ(content("d17-instance-number-lies"), content("d23-stray-files"));
  EXPECT_EQ(content("d22-odd-file-names"), content("d23-stray-files"));
}

TEST(RealScans, ASeriesSpreadOverFoldersIsOneVolumeAndACopyADuplicate) {
  HOMOLOG_NEED_SHARED("ct-bad");
  const fs::path folder =
      fs::temp_directory_path() / ("homolog_spread_" + std::to_string(::getpid()));
  const fs::path series = shared_folder() / "ct-bad/d17-instance-number-lies";
  int i = 0;
  for (const auto& file : fs::directory_iterator(series)) {
    const fs::path part = folder / "spread" / std::to_string(i++ % 3);
    fs::create_directories(part);
    fs::copy_file(file.path(), part / file.path().filename());
  }
  const Survey spread = survey({folder / "spread"}, "key", 1);
  fs::create_directories(folder / "twice");
  fs::copy(series, folder / "twice/first");
  fs::copy(series, folder / "twice/second");
  const Survey twice = survey({folder / "twice"}, "key", 1);
  fs::remove_all(folder);
  ASSERT_EQ(spread.entries.size(), 1U);
  EXPECT_EQ(spread.entries[0].verdict, Verdict::Accept);
  EXPECT_EQ(spread.entries[0].files.size(), 12U);
  ASSERT_EQ(twice.entries.size(), 2U);
  EXPECT_EQ(twice.count(Verdict::Accept), 1);
  EXPECT_THAT(twice.entries[1].reasons, testing::ElementsAre(testing::HasSubstr("duplicate of")));
  EXPECT_EQ(twice.entries[0].id, spread.entries[0].id)
      << "the id follows the series, not the folder";
}

TEST(RealScans, DamagedDicomFilesThatAbortTheReaderCostOnlyTheirLines) {
  HOMOLOG_NEED_SHARED("ct");
  const fs::path folder =
      fs::temp_directory_path() / ("homolog_damaged_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const fs::path whole = shared_folder() / "ct/pydicom-ct-small/CT_small.dcm";
  std::ifstream in(whole, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  for (std::size_t at = 132; at < 400; at += 4) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(0xff);
    std::ofstream(folder / (std::to_string(at) + ".dcm"), std::ios::binary) << damaged;
  }
  fs::create_directories(folder / "whole");
  fs::copy_file(whole, folder / "whole/slice.dcm");
  const Survey found = survey({folder}, "key", 2);
  fs::remove_all(folder);
  EXPECT_EQ(found.looked_at, 68);
  int gave_up = 0;
  for (const CatalogEntry& entry : found.entries) {
    gave_up += !entry.reasons.empty() && entry.reasons[0].starts_with("damaged");
  }
  EXPECT_GT(gave_up, 0) << "no file here aborts this GDCM: the test shows nothing";
  EXPECT_GE(found.count(Verdict::Warn), 1);
}

TEST(RealScans, NoPatientTextAndNoSeriesUidInALine) {
  HOMOLOG_NEED_SHARED("ct-bad");
  const Survey found = survey({shared_folder() / "ct-bad/d17-instance-number-lies"}, "key", 1);
  ASSERT_EQ(found.entries.size(), 1U);
  CatalogEntry entry = found.entries[0];
  EXPECT_THAT(entry.id, testing::MatchesRegex("[0-9a-f]{16}"));
  entry.files = {};  // paths are there so that the scan can be read again
  const std::string line = to_json_line(entry);
  for (const char* text : {"Lung_Dx", "A0002", "1.3.6.1.4", "SIEMENS", "Thorax", "2008", "2009"}) {
    EXPECT_THAT(line, testing::Not(testing::HasSubstr(text)));
  }
}

TEST(RealScans, SeriesOfOnePatientHaveOneSubjectAndOtherPatientsOthers) {
  HOMOLOG_NEED_SHARED("ct-bad");
  const fs::path bad = shared_folder() / "ct-bad";
  const Survey found = survey({bad / "d02-mixed-series", bad / "d08-one-slice-other-rescale",
                               shared_folder() / "ct/lidc-0003/dicom"},
                              "key", 2);
  std::map<std::string, std::set<std::string>> ids_of_subject;
  for (const CatalogEntry& entry : found.entries) {
    EXPECT_THAT(entry.subject, testing::MatchesRegex("[0-9a-f]{16}"));
    ids_of_subject[entry.subject].insert(entry.id);
  }
  ASSERT_EQ(ids_of_subject.size(), 2U);
  EXPECT_EQ(ids_of_subject[found.entries[0].subject].size() +
                ids_of_subject[found.entries.back().subject].size(),
            4U);
}

TEST(RealScans, WithoutAPatientTheScanIsItsOwnSubject) {
  HOMOLOG_NEED_SHARED("ct/derived-encodings");
  const auto entry =
      survey({shared_folder() / "ct/derived-encodings/ref_i16.nii.gz"}, "key", 1).entries.at(0);
  EXPECT_EQ(entry.subject, entry.id);
}

TEST(RealScans, AnotherKeyGivesOtherIdsTheSameKeyTheSame) {
  HOMOLOG_NEED_SHARED("ct/derived-encodings");
  const auto id = [](const std::string& key) {
    return survey({shared_folder() / "ct/derived-encodings/ref_i16.nii.gz"}, key, 1)
        .entries.at(0)
        .id;
  };
  EXPECT_EQ(id("one"), id("one"));
  EXPECT_NE(id("one"), id("two"));
}

TEST(RealScans, TheNumberOfThreadsDoesNotChangeTheCatalogue) {
  HOMOLOG_NEED_SHARED("ct-bad");
  const Survey one = survey({shared_folder() / "ct-bad"}, "key", 1),
               many = survey({shared_folder() / "ct-bad"}, "key", 6);
  ASSERT_EQ(one.entries.size(), many.entries.size());
  for (std::size_t i = 0; i < one.entries.size(); ++i)
    EXPECT_EQ(to_json_line(one.entries[i]), to_json_line(many.entries[i]));
}

TEST(RealScans, WhatTheCatalogueAcceptsLoadsAgainWithTheSameContent) {
  HOMOLOG_NEED_SHARED("ct");
  int loaded = 0;
  for (const CatalogEntry& entry : real_scans().entries) {
    if (entry.verdict == Verdict::Reject || entry.grid.voxels() > 4'000'000) continue;
    const Volume volume = load_volume(entry);
    EXPECT_EQ(volume.grid, entry.grid);
    ++loaded;
  }
  EXPECT_GE(loaded, 8);
}

}  // namespace
}  // namespace homolog::import

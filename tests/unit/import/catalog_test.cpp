// Lines written are lines read, and a broken catalogue is refused by line number.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "sharding/import/catalog.h"

namespace homolog::import {
namespace {

namespace fs = std::filesystem;

class CatalogFile : public ::testing::Test {
 protected:
  fs::path file_ =
      fs::temp_directory_path() / ("homolog_catalog_" + std::to_string(::getpid()) + ".jsonl");
  void TearDown() override { fs::remove(file_); }
  std::string refusal() const {
    try {
      read_catalog(file_);
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::Data);
      return error.what();
    }
    return "";
  }
};

CatalogEntry sample() {
  CatalogEntry e;
  e.id = "00ff00ff00ff00ff";
  e.subject = "11ff00ff00ff00ff";
  e.files = FileList({"/scans/a b/1.dcm", "/scans/a b/2.dcm"});
  e.format = "dicom";
  e.grid.size = {5, 6, 7};
  e.grid.spacing = {0.7, 0.8, 1.25};
  e.grid.origin = {-1.5, 2.25, 1.0 / 3};
  e.original_orientation = "RAS";
  e.original_direction = {-1, 0, 0, 0, -1, 0, 0, 0, 1};
  e.hu_min = -1024;
  e.hu_max = 1999;
  e.body_extent_mm = {3, 4, 5};
  e.content_hash = "0123456789abcdef";
  e.verdict = Verdict::Warn;
  e.reasons = {"only 3 slices"};
  e.hounsfield = false;
  return e;
}

TEST_F(CatalogFile, AnEntryComesBackExactly) {
  CatalogEntry refused;
  refused.verdict = Verdict::Reject;
  refused.reasons = {"modality MR, not CT"};
  refused.files = FileList({"/scans/mr.dcm"});
  refused.format = "dicom";
  std::ofstream(file_) << to_json_line(refused) << "\n" << to_json_line(sample()) << "\n";
  const auto entries = read_catalog(file_);
  ASSERT_EQ(entries.size(), 1U);
  const CatalogEntry &a = entries[0], b = sample();
  EXPECT_EQ(to_json_line(a), to_json_line(b));
  EXPECT_EQ(a.grid, b.grid);
  EXPECT_EQ(a.files.paths(), b.files.paths());
  EXPECT_EQ(a.verdict, Verdict::Warn);
  EXPECT_FALSE(a.hounsfield);
  EXPECT_EQ(a.subject, b.subject);
}

TEST_F(CatalogFile, AMissingFileIsNamed) {
  EXPECT_THAT(refusal(), testing::HasSubstr(file_.string()));
}

TEST_F(CatalogFile, ALineThatIsNoJsonIsNamedByNumber) {
  std::ofstream(file_) << to_json_line(sample()) << "\n{\"version\":1,\n";
  EXPECT_THAT(refusal(), testing::HasSubstr(".jsonl:2 is no catalogue line: not JSON"));
}

TEST_F(CatalogFile, AnotherJsonFileIsSaidToBeNoCatalogueInPlainWords) {
  for (const char* line : {"{\"format\": \"homolog-pair-store\"}", "[1, 2]",
                           "{\"version\": 1, \"bodies\": 0}", "{\"version\": \"x\"}"}) {
    std::ofstream(file_) << line << "\n";
    EXPECT_THAT(refusal(), testing::HasSubstr(".jsonl:1 is no catalogue line"));
    EXPECT_THAT(refusal(), testing::Not(testing::HasSubstr("json.exception")));
  }
}

TEST_F(CatalogFile, AnotherVersionIsRefusedWithWhatToDo) {
  const std::string line = to_json_line(sample()), version = "\"version\":2";
  for (const auto& [other, age] : {std::pair{"1", "older"}, {"3", "newer"}}) {
    std::string changed = line;
    changed.replace(line.find(version), version.size(), std::string("\"version\":") + other);
    std::ofstream(file_) << changed << "\n";
    EXPECT_THAT(refusal(), testing::HasSubstr(std::string("made by a") +
                                              (age[0] == 'o' ? "n " : " ") + age + " homolog"));
    EXPECT_THAT(refusal(), testing::HasSubstr("run homolog catalog again"));
  }
}

TEST_F(CatalogFile, ASpacingThatIsNotAboveZeroIsRefusedNamingStudyAndAxis) {
  for (const double mm : {0.0, -0.8}) {
    CatalogEntry flat = sample();
    flat.grid.spacing.y = mm;
    std::ofstream(file_) << to_json_line(sample()) << "\n" << to_json_line(flat) << "\n";
    EXPECT_THAT(refusal(), testing::HasSubstr(".jsonl:2"));
    EXPECT_THAT(refusal(), testing::HasSubstr("study 00ff00ff00ff00ff has a spacing of " +
                                              std::string(mm < 0 ? "-0.8" : "0.0") +
                                              " mm along y, which must be above 0"));
  }
}

TEST_F(CatalogFile, OneWithoutAUsableCtIsRefused) {
  CatalogEntry refused;
  refused.verdict = Verdict::Reject;
  refused.reasons = {"no"};
  std::ofstream(file_) << to_json_line(refused) << "\n";
  EXPECT_THAT(refusal(), testing::HasSubstr("no usable CT"));
}

}  // namespace
}  // namespace homolog::import

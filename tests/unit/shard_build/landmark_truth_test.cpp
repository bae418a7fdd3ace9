// The truth of landmarks is read whole or refused by name, and never held against another image.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "sharding/import/content.h"
#include "sharding/import/load.h"
#include "sharding/landmark_bodies.h"

namespace homolog::landmarks {
namespace {

namespace fs = std::filesystem;

class LandmarkTruth : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_truth_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    std::ofstream catalog(folder_ / "c.jsonl");
    for (const std::string name : {"phantom-0000", "phantom-0001"}) {
      Volume volume;
      volume.grid.size = {4, 4, 4};
      volume.hu.assign(64, name.back() == '0' ? 10 : 20);
      import::CatalogEntry entry;
      entry.id = entry.subject = "00112233445566" + name.substr(name.size() - 2);
      entry.files = import::FileList({folder_ / (name + ".nii")});
      entry.format = "nifti";
      import::write_volume(volume, entry.files.front());
      import::describe(volume, entry);
      hashes_[name] = entry.content_hash;
      catalog << import::to_json_line(entry) << "\n";
    }
  }
  void TearDown() override { fs::remove_all(folder_); }
  Truth truth(const std::string& text) {
    std::ofstream(folder_ / "landmarks.json") << text;
    return read_truth(folder_ / "landmarks.json");
  }
  std::string refusal(const std::string& text) {
    try {
      truth(text);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Data);
      return e.summary();
    }
    return "";
  }
  static std::string document(const std::string& content) {
    return R"({"version": 1, "points": [{"id": 0, "organ": "liver"}], "bodies":
      {"phantom-0000": [[0, 0, 0]], "phantom-0001": [null]}, "content": )" +
           content + "}";
  }
  std::map<std::string, std::string> hashes_;
  fs::path folder_;
};

TEST_F(LandmarkTruth, OfTheSameImagesIsJoinedAndOfOthersRefused) {
  const auto same = truth(document(nlohmann::json(hashes_).dump()));
  EXPECT_EQ(read_bodies(folder_ / "c.jsonl", same, 0).size(), 2U);
  EXPECT_EQ(read_bodies(folder_ / "c.jsonl", truth(document("{}")), 0).size(), 2U)
      << "an older file tells of no content";
  hashes_["phantom-0001"] = "0000000000000000";
  try {
    read_bodies(folder_ / "c.jsonl", truth(document(nlohmann::json(hashes_).dump())), 0);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), testing::HasSubstr("phantom-0001.nii is not the body"));
  }
}

TEST_F(LandmarkTruth, AWrongFileIsNamedWithItsLineInPlainWords) {
  EXPECT_THAT(refusal("{\n\"a\": 1,\nx"),
              testing::EndsWith("landmarks.json:3 is no landmark file: not JSON"));
  EXPECT_THAT(refusal("{\"version\": 1}"), testing::HasSubstr("a key is missing"));
  EXPECT_THAT(refusal("[]"), testing::HasSubstr("no landmark file"));
}

}  // namespace
}  // namespace homolog::landmarks

// main() of the golden tests: one test per fixture that lies in the folder (Golden.<fixture>), so
// that a fixture put there is checked, and a broken one fails by its name while the others run.
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cctype>
#include <cstdlib>
#include <iostream>
#include <set>

#include "base/error.h"
#include "golden_kind.h"
#include "golden_report.h"

namespace homolog::golden {
namespace {

// The published set. Those too large for a clone lie beside it only.
const std::vector<std::string> kPublished = {
    "f1_nnformer",  "f2_casa",         "f3_head",           "f4_loss",    "f5_iteration",
    "f6_schedules", "f7_sam",          "f8_dicece",         "f8_metrics", "f8_resnet18",
    "f8_sliding",   "f8_swinunetr24",  "f8_swinunetr24_v2", "f8_unetr_b", "f8_unetr_tiny",
    "f8_vit_b16",   "f8_vit_tiny_cls", "f9_transforms"};

class FixtureTest : public ::testing::Test {
 public:
  explicit FixtureTest(std::filesystem::path file) : file_(std::move(file)) {}
  void TestBody() override {
    try {
      check_fixture(file_, kinds());
    } catch (const Error& e) {
      ADD_FAILURE() << file_.filename().string() << ": " << e.what();
    } catch (const nlohmann::json::exception& e) {
      ADD_FAILURE() << file_.filename().string()
                    << ": its configuration lacks something: " << e.what();
    }
  }

 private:
  std::filesystem::path file_;
};

// Says what lies in no folder; fails where there is nothing at all.
class FolderTest : public ::testing::Test {
 public:
  FolderTest(std::filesystem::path folder, std::set<std::string> present)
      : folder_(std::move(folder)), present_(std::move(present)) {}
  void TestBody() override {
    ASSERT_FALSE(present_.empty()) << folder_.string() << " holds no *.safetensors";
    std::string missing;
    for (const std::string& name : kPublished) {
      if (present_.count(name) == 0) missing += (missing.empty() ? "" : ", ") + name;
    }
    if (!missing.empty())
      GTEST_SKIP() << "NOT CHECKED: " << missing << " (not in " << folder_.string()
                   << "; set HOMOLOG_GOLDENS)";
  }

 private:
  std::filesystem::path folder_;
  std::set<std::string> present_;
};

// A test filter gives '-', '.', '*', '?' and ':' meanings of their own.
std::string test_name(const std::string& fixture, const std::set<std::string>& taken) {
  std::string name;
  for (const char c : fixture) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  while (taken.count(name) != 0) name += "_";
  return name;
}

void register_tests() {
  const std::filesystem::path folder = fixture_folder();
  std::set<std::string> present, taken;
  for (const auto& file : fixtures_in(folder)) {
    present.insert(file.stem().string());
    const std::string name = test_name(file.stem().string(), taken);
    taken.insert(name);
    ::testing::RegisterTest("Golden", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [file]() -> ::testing::Test* { return new FixtureTest(file); });
  }
  ::testing::RegisterTest(
      "GoldenFolder", "HoldsEveryPublishedFixture", nullptr, nullptr, __FILE__, __LINE__,
      [folder, present]() -> ::testing::Test* { return new FolderTest(folder, present); });
}

}  // namespace
}  // namespace homolog::golden

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const char* report = std::getenv("HOMOLOG_GOLDEN_REPORT");
  homolog::golden::report_to(report == nullptr ? "" : report);
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) != "--report" || i + 1 == argc) {
      std::cerr << "unknown argument " << argv[i] << "; known: --report FILE\n";
      return 2;
    }
    homolog::golden::report_to(argv[++i]);
  }
  torch::manual_seed(1);  // nothing drawn decides a result, but a failure can be repeated
  homolog::golden::register_tests();
  return RUN_ALL_TESTS();
}

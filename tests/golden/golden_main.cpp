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

// Says which kinds have no fixture here (some are too large for a clone); fails where there is
// nothing at all.
class FolderTest : public ::testing::Test {
 public:
  explicit FolderTest(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void TestBody() override {
    ASSERT_FALSE(fixtures_in(folder_).empty()) << folder_.string() << " holds no *.safetensors";
    const std::string missing = joined(kinds_without_fixture(folder_, kinds()));
    if (!missing.empty())
      GTEST_SKIP() << "NOT CHECKED: " << missing << " (no fixture in " << folder_.string()
                   << "; set HOMOLOG_GOLDENS)";
  }

 private:
  std::filesystem::path folder_;
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
  std::set<std::string> taken;
  for (const auto& file : fixtures_in(folder)) {
    const std::string name = test_name(file.stem().string(), taken);
    taken.insert(name);
    ::testing::RegisterTest("Golden", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [file]() -> ::testing::Test* { return new FixtureTest(file); });
  }
  ::testing::RegisterTest("GoldenFolder", "HoldsAFixtureOfEveryKind", nullptr, nullptr, __FILE__,
                          __LINE__,
                          [folder]() -> ::testing::Test* { return new FolderTest(folder); });
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

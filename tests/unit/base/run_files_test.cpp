// The small readers of a run's files: INI lines and checkpoint folders.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/ini.h"
#include "base/step_folders.h"

namespace homolog {
namespace {

namespace fs = std::filesystem;

TEST(Ini, KeysCarryTheirSectionAndLine) {
  const auto lines =
      ini_lines("# a = 1\n[data]\nbatch = 2\r\n\n  [model.x]\n\tname=a = b\nno line\n");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].key, "data.batch");
  EXPECT_EQ(lines[0].value, "2");
  EXPECT_EQ(lines[0].number, 3);
  EXPECT_EQ(lines[1].key, "model.x.name");
  EXPECT_EQ(lines[1].value, "a = b");
  EXPECT_EQ(flat_settings("[a]\nb =\n").at("a.b"), "");
}

TEST(StepFolders, AreListedByStepAndOtherNamesLeftOut) {
  const fs::path folder = fs::temp_directory_path() / ("steps-" + std::to_string(getpid()));
  for (const char* name : {"step-00000010", "step-9", "step-", "step-x", "step-11.tmp-h-1-2.0",
                           "abandoned-step-00000012", "best"})
    fs::create_directories(folder / name);
  std::ofstream(folder / "step-9" / "manifest.json") << "{}";
  const auto found = step_folders(folder);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].step, 9);
  EXPECT_TRUE(found[0].complete);
  EXPECT_EQ(found[1].step, 10);
  EXPECT_FALSE(found[1].complete);
  EXPECT_TRUE(step_folders(folder / "none").empty());
  fs::remove_all(folder);
}

}  // namespace
}  // namespace homolog

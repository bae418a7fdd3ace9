// What a run's folder says about how the run may end.
#include "train/run_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace homolog::train {
namespace {

namespace fs = std::filesystem;

TEST(RunFolder, SaysResumableOnlyWithAWholeCheckpoint) {
  const RunFolder folder(fs::path(::testing::TempDir()) /
                         ("run_folder_" + std::to_string(getpid())));
  EXPECT_EQ(folder.code_of_leaving(), 93);
  fs::create_directories(folder.checkpoints() / "step-00000004");
  EXPECT_EQ(folder.code_of_leaving(), 93);
  std::ofstream(folder.checkpoints() / "step-00000004" / "manifest.json") << "{}";
  EXPECT_EQ(folder.code_of_leaving(), 75);
  fs::remove_all(folder.path());
}

}  // namespace
}  // namespace homolog::train

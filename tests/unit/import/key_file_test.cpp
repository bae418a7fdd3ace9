// The key of the pseudonyms: made once, whoever comes at the same time.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <barrier>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "base/error.h"
#include "sharding/import/key_file.h"

namespace homolog::import {
namespace {

namespace fs = std::filesystem;

class KeyFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_key_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(KeyFile, AllThatMakeItAtOnceGetTheOneKeyThatStays) {
  const fs::path file = folder_ / "catalog.key";
  constexpr int kThreads = 8;
  std::vector<std::string> keys(kThreads);
  std::barrier together(kThreads);
  {
    std::vector<std::jthread> threads;
    for (std::string& key : keys) {
      threads.emplace_back([&] {
        together.arrive_and_wait();
        key = read_or_make_key(file);
      });
    }
  }
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), 1U);
  EXPECT_EQ(read_or_make_key(file), keys[0]);
  struct stat about {};
  ASSERT_EQ(::stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U) << "for its owner alone";
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "no temporary left";
}

TEST_F(KeyFile, OneThatHoldsNoKeyIsRefusedAndKept) {
  const fs::path file = folder_ / "catalog.key";
  std::ofstream(file) << "short\n";
  try {
    read_or_make_key(file);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Data);
  }
  EXPECT_EQ(fs::file_size(file), 6U);
}

}  // namespace
}  // namespace homolog::import

// One run at a time in a folder.
#include "base/run_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>

#include "base/error.h"

namespace homolog {
namespace {

namespace fs = std::filesystem;

struct RunLockTest : ::testing::Test {
  fs::path folder = fs::path(::testing::TempDir()) / ("run_lock_" + std::to_string(::getpid()));
  void SetUp() override { fs::remove_all(folder); }
  void TearDown() override { fs::remove_all(folder); }
};

std::string refusal(const fs::path& run) {
  try {
    RunLock::require_free(run, RunLock::kTrainer);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
    return e.summary();
  }
  return "";
}

TEST_F(RunLockTest, RefusesASecondHolderNamingHostAndPidOfTheFirst) {
  const RunLock first(folder, RunLock::kTrainer, 0);
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  const std::string holder = "host " + std::string(host) + ", pid " + std::to_string(::getpid());
  try {
    const RunLock second(folder, RunLock::kTrainer, 0);
    FAIL() << "taken twice";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
    EXPECT_NE(e.summary().find(holder), std::string::npos) << e.summary();
  }
  EXPECT_NE(refusal(folder).find(holder), std::string::npos);
}

TEST_F(RunLockTest, AnEndedHolderLeavesItFree) {
  { const RunLock first(folder, RunLock::kTrainer, 0); }
  EXPECT_EQ(refusal(folder), "");
  const RunLock second(folder, RunLock::kTrainer, 0);
}

TEST_F(RunLockTest, AKilledHolderLeavesItFree) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const RunLock held(folder, RunLock::kTrainer, 0);
    [[maybe_unused]] const auto told = ::write(ready[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_NE(refusal(folder).find("pid " + std::to_string(child)), std::string::npos);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(refusal(folder), "");
}

TEST_F(RunLockTest, WaitsForTheHoldOfAnotherHostWhichEndsWithItsLease) {
  fs::create_directories(folder);
  const std::string file = folder / RunLock::kTrainer;
  std::ofstream(file) << "host of-a-dead-node, pid 7, since 2026-01-01T00:00:00Z\n";
  for (const bool looks : {true, false}) {
    const int held = ::open(file.c_str(), O_RDWR);
    ASSERT_EQ(::flock(held, LOCK_EX), 0);
    const std::jthread lease([held] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      ::close(held);
    });
    if (looks)
      EXPECT_EQ(refusal(folder), "");
    else
      EXPECT_NO_THROW(RunLock(folder, RunLock::kTrainer, 0));
  }
}

TEST_F(RunLockTest, LookingMakesNothing) {
  EXPECT_EQ(refusal(folder), "");
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(RunLockTest, AFileIsAUsageErrorAndAnImpossibleFolderNamesTheReason) {
  std::ofstream(folder) << "x";
  const auto fault_of = [](const fs::path& run, std::string& text) {
    try {
      const RunLock lock(run, RunLock::kTrainer, 0);
    } catch (const Error& e) {
      text = e.what();
      return e.fault();
    }
    return Fault::Stopped;
  };
  std::string text;
  EXPECT_EQ(fault_of(folder, text), Fault::Usage);
  EXPECT_EQ(fault_of("/proc/no-run", text), Fault::Environment);
  EXPECT_NE(text.find("/proc/no-run: No such file or directory"), std::string::npos) << text;
  EXPECT_NE(text.find("fix: "), std::string::npos);
}

}  // namespace
}  // namespace homolog

// Nothing half-written under its final name.
#include "base/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>

#include "base/error.h"

namespace homolog {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool any(const std::string&) { return true; }

class AtomicFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("atomic-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }
  fs::path folder_;
};

TEST_F(AtomicFile, WritesAndReplaces) {
  write_file_atomically(folder_ / "a", "one");
  write_file_atomically(folder_ / "a", "two");
  EXPECT_EQ(text_of(folder_ / "a"), "two");
  EXPECT_EQ(entries(), 1u) << "no temporary is left";
}

TEST_F(AtomicFile, AMissingFolderIsAnEnvironmentFault) {
  try {
    write_file_atomically(folder_ / "no" / "a", "x");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Environment);
    EXPECT_NE(std::string(e.what()).find("no/a"), std::string::npos);
  }
}

TEST_F(AtomicFile, AFullDiskLeavesNothing) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "SKIPPED: no /dev/full";
  PendingPath pending(folder_ / "a");
  fs::create_symlink("/dev/full", pending.temporary());
  std::ofstream out(pending.temporary());
  out << std::string(1 << 20, 'x') << std::flush;
  EXPECT_FALSE(out) << "the device is full";
  EXPECT_FALSE(fs::exists(folder_ / "a"));
}

TEST_F(AtomicFile, WhatIsNotPublishedVanishes) {
  {
    PendingPath pending(folder_ / "run");
    fs::create_directories(pending.temporary() / "deep");
    std::ofstream(pending.temporary() / "deep" / "x") << "x";
  }
  EXPECT_EQ(entries(), 0u);
}

TEST_F(AtomicFile, AFolderAppearsWhole) {
  PendingPath pending(folder_ / "run");
  fs::create_directories(pending.temporary() / "deep");
  std::ofstream(pending.temporary() / "deep" / "x") << "x";
  EXPECT_FALSE(fs::exists(folder_ / "run"));
  pending.publish();
  EXPECT_EQ(text_of(folder_ / "run" / "deep" / "x"), "x");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(AtomicFile, AFolderIsNeverReplaced) {
  fs::create_directories(folder_ / "run");
  std::ofstream(folder_ / "run" / "keep") << "kept";
  {
    PendingPath pending(folder_ / "run");
    fs::create_directories(pending.temporary());
    std::ofstream(pending.temporary() / "new") << "n";
    EXPECT_THROW(pending.publish(), Error);
  }
  EXPECT_EQ(text_of(folder_ / "run" / "keep"), "kept");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(AtomicFile, LeftoversOfTheDeadGoAndThoseOfTheLivingStay) {
  std::string left;
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string name = temporary_beside(folder_ / "shard").string();
    std::ofstream(name) << "half";
    (void)!write(pipes[1], name.data(), name.size());
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  char buffer[4096];
  const auto n = read(pipes[0], buffer, sizeof buffer);
  const fs::path dead(std::string(buffer, static_cast<std::size_t>(n)));
  const fs::path mine = temporary_beside(folder_ / "shard");
  std::ofstream(mine) << "half";
  std::ofstream(folder_ / "shard.tmp-another-host-1-0") << "half";
  ASSERT_TRUE(fs::exists(dead));
  EXPECT_EQ(remove_leftovers(folder_, any), 1);
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(mine));
  EXPECT_TRUE(fs::exists(folder_ / "shard.tmp-another-host-1-0"))
      << "another host's process may live";
}

TEST_F(AtomicFile, ThePidOfAnEarlierContainerIsNotTakenForOurs) {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  const fs::path stale =
      folder_ / ("step-3.tmp-" + std::string(host) + "-" + std::to_string(getpid()) + "-123456.0");
  fs::create_directories(stale);
  std::ofstream(stale / "junk") << "of a process before us";
  EXPECT_EQ(remove_leftovers(folder_, any), 1);
  EXPECT_FALSE(fs::exists(stale));
}

TEST_F(AtomicFile, AHostWhoseNameBeginsLikeOursIsAnother) {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  // Read from the left, its number would be the pid.
  const fs::path other = folder_ / ("a.tmp-" + std::string(host) + "-99999999-4000000-77.0");
  std::ofstream(other) << "half";
  EXPECT_EQ(remove_leftovers(folder_, any), 0);
  EXPECT_TRUE(fs::exists(other));
}

TEST_F(AtomicFile, LeftoversOfOtherHostsGoAfterADayWithoutAChange) {
  const fs::path old = folder_ / "step-1.tmp-another-host-7-99.0",
                 busy = folder_ / "step-2.tmp-another-host-7-99.1";
  const auto two_days_ago = fs::file_time_type::clock::now() - std::chrono::hours(48);
  for (const auto& path : {old, busy}) {
    fs::create_directories(path);
    std::ofstream(path / "model.safetensors") << "half";
  }
  fs::last_write_time(old / "model.safetensors", two_days_ago);
  fs::last_write_time(old, two_days_ago);
  fs::last_write_time(busy, two_days_ago);  // its file is still written
  EXPECT_EQ(remove_leftovers(folder_, any), 1);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(busy));
}

TEST_F(AtomicFile, AnotherHostsFolderThatCannotBeReadIsLeftThere) {
  const fs::path other = folder_ / "step-1.tmp-another-host-7-99.0", inside = other / "inside";
  fs::create_directories(inside);
  const auto two_days_ago = fs::file_time_type::clock::now() - std::chrono::hours(48);
  fs::last_write_time(inside, two_days_ago);
  fs::last_write_time(other, two_days_ago);
  fs::permissions(inside, fs::perms::none);
  const bool root = ::geteuid() == 0;  // whom no permission keeps out
  ASSERT_TRUE(!root || ::seteuid(65534) == 0);
  EXPECT_NO_THROW(EXPECT_EQ(remove_leftovers(folder_, any), 0));
  ASSERT_TRUE(!root || ::seteuid(0) == 0);
  fs::permissions(inside, fs::perms::owner_all);
  EXPECT_TRUE(fs::exists(inside));
}

TEST_F(AtomicFile, ATemporaryNameTellsItsFinalOne) {
  EXPECT_EQ(final_name_of(temporary_beside("shard-00000.h5").string()), "shard-00000.h5");
  EXPECT_EQ(final_name_of("shard-00000.h5"), std::nullopt);
}

TEST_F(AtomicFile, LeftoversOfFinalNamesThatAreNotOursStay) {
  const std::string dead = ".tmp-another-host-7-99.0";
  const auto two_days_ago = fs::file_time_type::clock::now() - std::chrono::hours(48);
  for (const char* name : {"shard", "thesis"}) {
    std::ofstream(folder_ / (name + dead)) << "half";
    fs::last_write_time(folder_ / (name + dead), two_days_ago);
  }
  EXPECT_EQ(remove_leftovers(folder_, [](const std::string& name) { return name == "shard"; }), 1);
  EXPECT_TRUE(fs::exists(folder_ / ("thesis" + dead)));
}

TEST_F(AtomicFile, TemporariesDiffer) {
  EXPECT_NE(temporary_beside("a"), temporary_beside("a"));
  EXPECT_EQ(temporary_beside(folder_ / "a").parent_path(), folder_)
      << "same file system, so rename is atomic";
}

}  // namespace
}  // namespace homolog

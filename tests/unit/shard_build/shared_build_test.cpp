// Claims about processes that build one store together, and about kills at any moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include "base/counter_rng.h"
#include "base/error.h"
#include "base/log.h"
#include "sharding/shard_builder.h"
#include "sharding/store/verify.h"
#include "tests/unit/shard_build/moved_bodies.h"
#include "tests/unit/shard_store/flipped_bit.h"

namespace homolog::shard {
namespace {

namespace fs = std::filesystem;
using Tree = std::map<std::string, std::string>;  // name within the store -> bytes

Tree tree(const fs::path& store) {
  Tree files;
  for (const auto& entry : fs::recursive_directory_iterator(store)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files[fs::relative(entry.path(), store).string()] =
        entry.is_directory() ? "folder" : std::string(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

class SharedBuild : public ::testing::Test {
 protected:
  void SetUp() override {
    log::set_terminal_level("off");
    base_ = fs::temp_directory_path() / ("homolog_shared_" + std::to_string(::getpid()));
    fs::remove_all(base_);
    plan_.crop = {16, 16, 16};
    plan_.landmarks_per_study = 4;
    plan_.studies_per_landmark = 2;
    plan_.validation = 0.2;
    for (std::size_t i = 0; i < 12; ++i) {
      import::CatalogEntry entry;
      entry.id = hex64(i + 1);
      entry.content_hash = hex64(100 + i);
      entries_.push_back(entry);
    }
  }
  void TearDown() override { fs::remove_all(base_); }

  BuildCounts build(const fs::path& out, Part part = {}) {
    BuildCounts counts;
    ShardBuilder builder(plan_, entries_, studies_, hex64(5), out, part);
    builder.build(counts, [](const Standing&) {});
    return counts;
  }
  // Exit code 0, or the fault's.
  pid_t start(const fs::path& out, Part part) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    try {
      build(out, part);
      ::_exit(0);
    } catch (const Error& e) {
      ::_exit(exit_code(e.fault()));
    }
  }
  static int end_of(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::vector<pid_t> start_all(const fs::path& out, std::size_t count) {
    std::vector<pid_t> children;
    for (std::size_t i = 0; i < count; ++i) children.push_back(start(out, {i, count}));
    return children;
  }

  // Names with `part` in them: ".h5" ends finished shards, ".h5.tmp-" is within pending ones.
  static std::set<std::string> named(const fs::path& out, const std::string& part) {
    std::set<std::string> names;
    std::error_code absent;
    for (const auto& entry : fs::directory_iterator(out, absent)) {
      const std::string name = entry.path().filename().string();
      if (part == ".h5" ? name.ends_with(part) : name.find(part) != std::string::npos)
        names.insert(name);
    }
    return names;
  }
  static std::set<std::string> wait_for(const fs::path& out, const std::string& part,
                                        std::size_t count) {
    for (int i = 0; i < 30000 && named(out, part).size() < count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_GE(named(out, part).size(), count);
    return named(out, part);
  }
  std::size_t groups_of_the_store() const {
    std::vector<Member> members;
    for (const auto& entry : entries_) members.push_back({entry.id, entry.id});
    return make_groups(members, plan_.validation, plan_.studies_per_landmark, plan_.seed).size();
  }

  MovedBodies studies_{12};
  ShardPlan plan_;
  std::vector<import::CatalogEntry> entries_;
  fs::path base_;
};

TEST_F(SharedBuild, AnyNumberOfProcessesWriteTheSameStore) {
  build(base_ / "one");
  const Tree alone = tree(base_ / "one");
  ASSERT_GE(alone.size(), 6U);
  EXPECT_TRUE(store::verify(base_ / "one").findings.empty());
  studies_.delay = std::chrono::milliseconds(3);
  for (const std::size_t count : {2U, 3U, 9U}) {
    const fs::path out = base_ / std::to_string(count);
    for (const pid_t child : start_all(out, count)) EXPECT_EQ(end_of(child), 0) << count;
    EXPECT_EQ(tree(out), alone) << count << " processes";
  }
}

TEST_F(SharedBuild, KilledAtAnyMomentAndRunAgainTheStoreIsTheSame) {
  build(base_ / "undisturbed");
  const Tree want = tree(base_ / "undisturbed");
  studies_.delay = std::chrono::milliseconds(4);
  CounterRng rng(7, "kill", 0);
  int interrupted = 0;
  for (int round = 0; round < 8; ++round) {
    const fs::path out = base_ / ("killed-" + std::to_string(round));
    for (std::size_t attempt = 0; attempt < 4; ++attempt) {
      const auto children = start_all(out, 1 + rng.below(3));
      std::this_thread::sleep_for(std::chrono::milliseconds(rng.below(150)));
      for (const pid_t child : children) ::kill(child, SIGKILL);
      for (const pid_t child : children) interrupted += end_of(child) == -SIGKILL;
    }
    for (const pid_t child : start_all(out, 1 + rng.below(3))) EXPECT_EQ(end_of(child), 0);
    EXPECT_EQ(tree(out), want) << "round " << round;
  }
  EXPECT_GT(interrupted, 8);
}

TEST_F(SharedBuild, TheWorkOfAKilledProcessIsDoneByTheOthers) {
  build(base_ / "undisturbed");
  studies_.delay = std::chrono::milliseconds(10);
  const fs::path out = base_ / "out";
  const auto children = start_all(out, 3);
  wait_for(out, ".h5.tmp-", 1);
  ::kill(children[0], SIGKILL);
  EXPECT_EQ(end_of(children[0]), -SIGKILL);
  for (const std::size_t i : {1U, 2U}) EXPECT_EQ(end_of(children[i]), 0);
  EXPECT_EQ(tree(out), tree(base_ / "undisturbed"));
}

TEST_F(SharedBuild, NobodyRemovesOrDoesWhatALivingProcessWrites) {
  studies_.delay = std::chrono::milliseconds(10);
  const fs::path out = base_ / "out";
  const pid_t slow = start(out, {0, 2});
  const auto before = wait_for(out, ".h5.tmp-", 1);
  ::kill(slow, SIGSTOP);
  const pid_t other = start(out, {1, 2});
  wait_for(out, ".h5", groups_of_the_store() - 1);  // finished ones, but for the slow process's
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(fs::exists(out / "store.json"));
  EXPECT_EQ(named(out, ".h5.tmp-"), before);
  ::kill(slow, SIGCONT);
  EXPECT_EQ(end_of(slow), 0);
  EXPECT_EQ(end_of(other), 0);
}

TEST_F(SharedBuild, ProcessesOfOtherSettingsAreRefused) {
  studies_.delay = std::chrono::milliseconds(10);
  const fs::path out = base_ / "out";
  const pid_t first = start(out, {0, 2});
  wait_for(out, ".h5.tmp-", 1);
  ::kill(first, SIGSTOP);
  plan_.margin = 2;
  EXPECT_EQ(end_of(start(out, {1, 2})), exit_code(Fault::Usage));
  ::kill(first, SIGCONT);
  EXPECT_EQ(end_of(first), 0);
}

TEST_F(SharedBuild, TheFirstProcessCountsTheWorkOfAll) {
  const BuildCounts whole = build(base_ / "whole");
  studies_.delay = std::chrono::milliseconds(5);
  const pid_t other = start(base_ / "out", {1, 2});
  const BuildCounts shared = build(base_ / "out", {0, 2});
  EXPECT_EQ(end_of(other), 0);
  EXPECT_EQ(shared.kept_shards + shared.written_shards, whole.written_shards);
  EXPECT_EQ(shared.plan.landmarks, whole.plan.landmarks);
  EXPECT_EQ(shared.plan.draws, whole.plan.draws);
}

// Whichever part a damaged shard is of: only one process reads the finished store.
TEST_F(SharedBuild, TheFirstProcessRepairsWhatIsDamagedInAnyPart) {
  const fs::path out = base_ / "out";
  build(out);
  const Tree whole = tree(out);
  const std::set<std::string> shards = named(out, ".h5");
  ASSERT_GE(shards.size(), 4U);
  for (const std::size_t count : {2U, 3U}) {
    for (const std::string& shard : shards) store::flip_a_bit_of_crop(out / shard, 0);
    std::vector<pid_t> others;
    for (std::size_t i = 1; i < count; ++i) others.push_back(start(out, {i, count}));
    const BuildCounts told = build(out, {0, count});
    for (const pid_t other : others) EXPECT_EQ(end_of(other), 0);
    EXPECT_EQ(tree(out), whole) << count << " processes";
    EXPECT_EQ(std::set(told.repaired.begin(), told.repaired.end()), shards);
  }
}

class LedgerTest : public SharedBuild {};

TEST_F(LedgerTest, AGroupIsTakenOnceAndADeadProcesssClaimIsFree) {
  GroupLedger ours(base_, hex64(1));
  {
    const auto claim = ours.claim(3);
    ASSERT_TRUE(claim);
    EXPECT_FALSE(GroupLedger(base_, hex64(1)).claim(3));
    EXPECT_TRUE(GroupLedger(base_, hex64(1)).claim(4));
    EXPECT_THROW(GroupLedger(base_, hex64(2)).claim(4), Error);
    claim->tell(7);
    EXPECT_EQ(ours.look().landmarks, 7);
  }
  const pid_t child = ::fork();
  if (child == 0) ::_exit(GroupLedger(base_, hex64(1)).claim(5).release() != nullptr ? 0 : 1);
  ASSERT_EQ(end_of(child), 0);
  EXPECT_TRUE(ours.claim(5));
}

TEST_F(LedgerTest, AClaimOfWhichNothingIsHeardIsTakenForDead) {
  GroupLedger theirs(base_, hex64(1));
  GroupLedger ours(base_, hex64(1), std::chrono::seconds(0));
  const auto claim = theirs.claim(0);
  EXPECT_TRUE(ours.look().claimed.contains(0));
  EXPECT_FALSE(ours.look().claimed.contains(0)) << "seen twice without a sign of life";
}

TEST_F(LedgerTest, ARecordOfAnotherPlanOrCutShortIsNone) {
  const GroupLedger ledger(base_, hex64(1));
  GroupResult result;
  result.studies = {hex64(9)};
  result.left_out = {{hex64(8), "scan is gone"}};
  result.crops.constant = 4;
  ledger.record(2, result);
  const auto read = ledger.result(2);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->studies, result.studies);
  EXPECT_EQ(read->left_out[0].reason, "scan is gone");
  EXPECT_EQ(read->crops.constant, 4);
  EXPECT_FALSE(GroupLedger(base_, hex64(2)).result(2));
  result.shard.file = "shard-00002.h5";  // which is not there
  ledger.record(2, result);
  EXPECT_FALSE(ledger.result(2));
  std::ofstream(base_ / "building" / "group-2.json") << "{\"plan\"";
  EXPECT_FALSE(ledger.result(2));
}

TEST(BuildPart, IsReadAsIOfN) {
  EXPECT_EQ(part_named("2/4"), (Part{2, 4}));
  EXPECT_EQ(part_within({1, 3}, 1, 4), (Part{5, 12}));
  for (const char* wrong : {"", "1", "4/4", "-1/4", "1/4x", "1/", "/4", "0/0", "0/99999999"})
    EXPECT_THROW(part_named(wrong), Error) << wrong;
}

}  // namespace
}  // namespace homolog::shard

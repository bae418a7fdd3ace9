// Shards on a node's own disk: whole or not there, within the limit, read in place of the store's.
#include "sharding/store/commands/stage.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/hash.h"
#include "sharding/store/commands/stage_lock.h"
#include "sharding/store/pair_store.h"
#include "sharding/store/verify.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/shard_store/flipped_bit.h"
#include "tests/unit/store_commands/temporary_folder.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;

class Stage : public ::testing::Test {
 protected:
  Stage() : folder_("stage"), store_(folder_.path() / "store"), plan_{folder_.path() / "node"} {
    manifest_ = test::write_synthetic_store(store_, {.train = 16, .validation = 4});
    plan_.reserve = 1;
  }
  fs::path copy(int shard) const {
    return staged_file(plan_.to, manifest_, manifest_.shards.at(static_cast<std::size_t>(shard)));
  }
  bool is_whole(int shard) const {
    return fs::exists(copy(shard)) &&
           xxh3_64_file(copy(shard)) == manifest_.shards.at(static_cast<std::size_t>(shard)).xxh3;
  }
  Fault fault_of() const {
    try {
      stage(store_, plan_);
    } catch (const Error& e) {
      return e.fault();
    }
    ADD_FAILURE() << "nothing was thrown";
    return Fault::Usage;
  }

  test::TemporaryFolder folder_;
  fs::path store_;
  StagePlan plan_;
  StoreManifest manifest_;
};

TEST_F(Stage, PairsAreReadFromTheCopiesWhenTheStoresShardsAreGone) {
  const StageResult result = stage(store_, plan_);
  EXPECT_EQ(result.shards, 5);
  EXPECT_EQ(result.staged, 5);
  EXPECT_EQ(result.copied, 5);
  EXPECT_EQ(result.staged_bytes, manifest_.bytes());
  for (const ShardSummary& shard : manifest_.shards) fs::remove(store_ / shard.file);
  const PairStore pairs({store_, "train", plan_.to});
  EXPECT_EQ(pairs.pairs(), 16);
  std::vector<std::uint16_t> window(static_cast<std::size_t>(pairs.header().voxels()));
  ShardReader::Scratch scratch;
  const auto at = pairs.at(15);
  EXPECT_NO_THROW(at.shard->read_window(at.pair.key, window, scratch));
}

TEST_F(Stage, ALimitForTwoOfFiveShardsTakesTheFirstTwoAndTheRestIsReadFromTheStore) {
  plan_.limit = manifest_.shards[0].bytes + manifest_.shards[1].bytes + 10;
  const StageResult result = stage(store_, plan_);
  EXPECT_EQ(result.staged, 2);
  EXPECT_TRUE(is_whole(0));
  EXPECT_TRUE(is_whole(1));
  EXPECT_FALSE(fs::exists(copy(2)));
  const PairStore pairs({store_, "train", plan_.to});
  EXPECT_EQ(pairs.at(0).shard->file(), copy(0));
  EXPECT_EQ(pairs.at(15).shard->file(), store_ / manifest_.shards[3].file);
}

TEST_F(Stage, ASecondRunKeepsWholeCopiesReplacesDamagedOnesAndRemovesLeftovers) {
  stage(store_, plan_);
  flip_a_bit_of_crop(copy(1), 2);
  const fs::path leftover = copy(2).string() + ".tmp-elsewhere-1-2.3";
  std::ofstream(leftover) << "half a shard";
  const StageResult again = stage(store_, plan_);
  EXPECT_EQ(again.kept, 4);
  EXPECT_EQ(again.copied, 1);
  EXPECT_EQ(again.replaced, 1);
  EXPECT_TRUE(is_whole(1));
  EXPECT_FALSE(fs::exists(leftover));
}

TEST_F(Stage, ASmallerLimitRemovesCopiesButNotWhenNothingFits) {
  stage(store_, plan_);
  plan_.limit = 1000;
  EXPECT_EQ(fault_of(), Fault::Environment);
  EXPECT_TRUE(is_whole(4));
  plan_.limit = manifest_.shards[0].bytes + 10;
  EXPECT_EQ(stage(store_, plan_).dropped, 4);
  EXPECT_TRUE(is_whole(0));
  EXPECT_FALSE(fs::exists(copy(4)));
}

TEST_F(Stage, AReserveLargerThanTheDiskIsAnEnvironmentFaultAndNothingIsCopied) {
  plan_.reserve = std::uint64_t{1} << 60;
  EXPECT_EQ(fault_of(), Fault::Environment);
  EXPECT_FALSE(fs::exists(copy(0)));
}

TEST_F(Stage, ADamagedShardOfTheStoreIsADataFaultAndLeavesNoCopyOfIt) {
  flip_a_bit_of_crop(store_ / manifest_.shards[3].file, 0);
  EXPECT_EQ(fault_of(), Fault::Data);
  EXPECT_FALSE(fs::exists(copy(3)));
  for (const auto& entry : fs::directory_iterator(copy(0).parent_path()))
    EXPECT_EQ(entry.path().string().find(".tmp-"), std::string::npos) << entry.path();
}

TEST_F(Stage, OtherStoresGoOnlyWhenAskedAndOnlyWhatAStageMakes) {
  const fs::path older = plan_.to / "0123456789abcdef", mine = plan_.to / "notes";
  fs::create_directories(older);
  fs::create_directories(mine);
  std::ofstream(older / "shard-00000.h5") << "old";
  std::ofstream(mine / "shard-00000.h5") << "not ours";
  EXPECT_EQ(stage(store_, plan_).pruned, 0);
  EXPECT_TRUE(fs::exists(older));
  plan_.prune = true;
  {
    const StageLock busy(older, {});  // another process works there
    EXPECT_EQ(stage(store_, plan_).pruned, 0);
  }
  EXPECT_EQ(stage(store_, plan_).pruned, 1);
  EXPECT_FALSE(fs::exists(older));
  EXPECT_TRUE(fs::exists(mine / "shard-00000.h5"));
}

TEST_F(Stage, AStoreIsNeverTakenForAFolderOfCopies) {
  const fs::path lookalike = folder_.path() / "stores" / hex64(manifest_.hash),
                 other = folder_.path() / "stores" / "0123456789abcdef";
  fs::create_directories(lookalike.parent_path());
  fs::copy(store_, lookalike);
  fs::copy(store_, other);
  const auto whole = [&](const fs::path& store) { return verify(store).findings.empty(); };
  plan_.limit = manifest_.shards[0].bytes + 10;
  for (const fs::path& to : {lookalike.parent_path(), store_, store_ / "deeper"}) {
    plan_.to = to;
    EXPECT_EQ(fault_of(), Fault::Usage) << to;
    EXPECT_TRUE(whole(store_) && whole(lookalike)) << to;
  }
  fs::remove_all(lookalike);
  plan_.to = lookalike.parent_path();
  plan_.prune = true;
  EXPECT_EQ(stage(store_, plan_).pruned, 0);
  EXPECT_TRUE(whole(other));
}

TEST_F(Stage, ABadCopyIsLeftOutAndTheStoresOwnShardIsRead) {
  stage(store_, plan_);
  flip_a_bit(copy(0), 10);
  const PairStore pairs({store_, "train", plan_.to});
  EXPECT_EQ(pairs.at(0).shard->file(), store_ / manifest_.shards[0].file);
  EXPECT_EQ(pairs.at(15).shard->file(), copy(3));
}

TEST_F(Stage, ASecondProcessWaitsAndThenFindsAllThere) {
  fs::create_directories(copy(0).parent_path());
  auto held =
      std::make_unique<StageLock>(copy(0).parent_path(), std::function<void(const std::string&)>{});
  std::atomic<bool> told{false};
  StageResult second;
  std::thread waiter([&] {
    second =
        stage(store_, plan_,
              {{}, {}, [&](const std::string& pid) { told = pid == std::to_string(::getpid()); }});
  });
  while (!told) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(fs::exists(copy(0)));
  held.reset();
  waiter.join();
  EXPECT_EQ(second.staged, 5);
}

}  // namespace
}  // namespace homolog::store

// A staged copy is read while its crops are good; what it has bad comes from the store (P5).
#include "sharding/store/nearest_shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "base/error.h"
#include "sharding/store/pair_store.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/shard_store/flipped_bit.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class NearestShardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_nearest_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    manifest_ = test::write_synthetic_store(folder_ / "store", {});
    for (const ShardSummary& shard : manifest_.shards) {
      fs::create_directories(copy(shard).parent_path());
      fs::copy_file(own(shard), copy(shard));
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path own(const ShardSummary& shard) const { return folder_ / "store" / shard.file; }
  fs::path copy(const ShardSummary& shard) const {
    return staged_file(folder_ / "node", manifest_, shard);
  }
  PairStore open(bool staged = true) const {
    return PairStore({folder_ / "store", "train", staged ? folder_ / "node" : ""});
  }
  static std::vector<std::uint16_t> read(const PairStore& pairs, std::int64_t crop) {
    ShardReader::Scratch scratch;
    std::vector<std::uint16_t> window(static_cast<std::size_t>(pairs.header().voxels()));
    pairs.read_window(0, crop, window, scratch);
    return window;
  }
  static std::string refusal(const PairStore& pairs, std::int64_t crop) {
    try {
      read(pairs, crop);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Data);
      return e.summary();
    }
    return "";
  }
  // Of the size, settings and counts of the store's own, its crops the other way round.
  void write_in_another_order(const ShardSummary& shard) const {
    const ShardReader as_it_is(own(shard));
    const auto records = as_it_is.read_crop_table();
    ShardWriter writer(own(shard), as_it_is.header(), as_it_is.studies());
    for (std::int64_t row = as_it_is.crops() - 1; row >= 0; --row)
      writer.add_crop(records[static_cast<std::size_t>(row)],
                      test::synthetic_hu({}, row / 2, static_cast<int>(row % 2)));
    for (const PairRecord& pair : as_it_is.pairs()) writer.add_pair(pair);
    ASSERT_EQ(writer.seal().bytes, shard.bytes);
  }
  fs::path folder_;
  StoreManifest manifest_;
};

TEST_F(NearestShardTest, ACropThatTheCopyHasBadIsReadFromTheStoreAndTheCopyIsLeftForGood) {
  const ShardSummary& first = manifest_.shards[0];
  flip_a_bit_of_crop(copy(first), 2);
  const PairStore pairs = open(), plain = open(false);
  EXPECT_EQ(read(pairs, 1), read(plain, 1));
  EXPECT_EQ(pairs.at(0).shard->file(), copy(first)) << "a good crop leaves no copy";
  EXPECT_EQ(read(pairs, 2), read(plain, 2));
  EXPECT_EQ(pairs.bad_copies(), 1);
  EXPECT_EQ(pairs.at(0).shard->file(), own(first));
  EXPECT_EQ(pairs.at(4).shard->file(), copy(manifest_.shards[1])) << "other copies stay";
}

TEST_F(NearestShardTest, WhatIsBadInTheStoreTooIsRefusedNamingBothAndLeavesNoCopy) {
  const ShardSummary& first = manifest_.shards[0];
  flip_a_bit_of_crop(copy(first), 2);
  flip_a_bit_of_crop(own(first), 2);
  const PairStore pairs = open();
  const std::string found = refusal(pairs, 2);
  EXPECT_THAT(found, HasSubstr("staged copy of shard-00000.h5, crop 2 at byte"));
  EXPECT_THAT(found, HasSubstr("in the store itself shard-00000.h5, crop 2 at byte"));
  EXPECT_EQ(pairs.bad_copies(), 0);
}

TEST_F(NearestShardTest, AStoreThatIsGoneMakesABadCropOfItsCopyARefusal) {
  const ShardSummary& first = manifest_.shards[0];
  flip_a_bit_of_crop(copy(first), 2);
  const PairStore pairs = open();
  fs::remove(own(first));
  EXPECT_THAT(refusal(pairs, 2), HasSubstr("No such file"));
  EXPECT_EQ(refusal(pairs, 1), "") << "its other crops are read";
}

TEST_F(NearestShardTest, AnotherShardUnderTheNameOfTheOriginalIsNotReadInTheCopysPlace) {
  const ShardSummary& first = manifest_.shards[0];
  flip_a_bit_of_crop(copy(first), 2);
  const PairStore pairs = open();
  write_in_another_order(first);
  EXPECT_THAT(refusal(pairs, 2), HasSubstr("its tables are not those of its staged copy"));
}

TEST_F(NearestShardTest, AShardOfAnotherStoreIsRefusedNamingWhatDiffersWithBothValues) {
  test::write_synthetic_store(folder_ / "other", {.margin = 2});
  const ShardSummary& first = manifest_.shards[0];
  fs::copy_file(folder_ / "other" / first.file, own(first), fs::copy_options::overwrite_existing);
  try {
    open(false);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.summary(), own(first).string() + ": margin differs from store.json: 2, there 0");
  }
}

TEST_F(NearestShardTest, ThreadsThatMeetOneBadCopyAllReadTheStore) {
  for (std::int64_t crop = 0; crop < 8; ++crop) flip_a_bit_of_crop(copy(manifest_.shards[0]), crop);
  const PairStore pairs = open(), plain = open(false);
  std::vector<std::thread> threads;
  std::vector<int> same(8);
  for (std::int64_t crop = 0; crop < 8; ++crop) {
    threads.emplace_back([&, crop] {
      same[static_cast<std::size_t>(crop)] = read(pairs, crop) == read(plain, crop);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(same, std::vector<int>(8, 1));
  EXPECT_EQ(pairs.bad_copies(), 1);
}

}  // namespace
}  // namespace homolog::store

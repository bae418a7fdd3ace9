// Claims about the stream: order, resume, quarantine, bounded waits.
#include "data/pair_stream.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "data/decode_pool.h"
#include "sharding/store/pair_store.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/shard_store/flipped_bit.h"

namespace homolog::data {
namespace {

namespace fs = std::filesystem;

// Through the page cache, and past it as stores are read that are larger than memory.
class PairStreamTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    log::set_terminal_level("off");
    folder_ = fs::temp_directory_path() / ("homolog_stream_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    synthetic_.train = 11;
    synthetic_.crop = {16, 12, 8};
    test::write_synthetic_store(folder_, synthetic_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  PairStreamPlan plan() const {
    PairStreamPlan p;
    p.store = folder_;
    p.threads = 3;
    if (GetParam()) p.cached_bytes = 0;
    return p;
  }
  void flip(std::int64_t crop) { store::flip_a_bit_of_crop(folder_ / "shard-00000.h5", crop); }
  test::SyntheticPlan synthetic_;
  fs::path folder_;
};

TEST_P(PairStreamTest, GivesTheCropsOfTheirIds) {
  auto p = plan();
  p.batch = 2;
  PairStream stream(p, {});
  EXPECT_EQ(stream.steps_per_epoch(), 5);
  EXPECT_EQ(stream.crop_xyz(), (std::array<std::int64_t, 3>{16, 12, 8}));
  for (int step = 0; step < 7; ++step) {
    const PairBatch batch = stream.next();
    ASSERT_EQ(batch.query_BDHW.sizes(), (std::vector<std::int64_t>{2, 8, 12, 16}));
    for (std::int64_t b = 0; b < 2; ++b) {
      for (const int side : {0, 1}) {
        const auto hu =
            test::synthetic_hu(synthetic_, static_cast<std::int64_t>(batch.ids[b]), side);
        const at::Tensor expected =
            at::tensor(at::ArrayRef<std::int16_t>(hu), at::kShort).clamp(-125, 255).add(125);
        EXPECT_TRUE(at::equal((side ? batch.key_BDHW : batch.query_BDHW)[b].flatten(), expected));
      }
    }
  }
}

TEST_P(PairStreamTest, UsesEachPairAtMostOnceAnEpochAndLeavesOutAnotherTail) {
  auto p = plan();
  p.batch = 2;
  PairStream stream(p, {});
  std::set<std::uint64_t> left_out;
  for (int epoch = 0; epoch < 12; ++epoch) {
    std::set<std::uint64_t> seen;
    for (std::int64_t s = 0; s < stream.steps_per_epoch(); ++s) {
      for (const auto id : stream.next().ids)
        EXPECT_TRUE(seen.insert(id).second) << "repeated " << id;
    }
    for (std::uint64_t id = 0; id < 11; ++id) {
      if (!seen.contains(id)) left_out.insert(id);
    }
  }
  EXPECT_GT(left_out.size(), 3U);
}

TEST_P(PairStreamTest, ResumesAtCursorWithoutRepeatingAPair) {
  auto p = plan();
  p.accumulate = 2;
  PairStream whole(p, {});
  std::vector<std::vector<std::uint64_t>> ids;
  std::vector<Cursor> cursors;
  for (int i = 0; i < 24; ++i) {
    const PairBatch batch = whole.next();
    ids.push_back(batch.ids);
    cursors.push_back(batch.next);
  }
  EXPECT_EQ(cursors[0], cursors[1]) << "both micro batches of a step carry the cursor after it";
  EXPECT_EQ(cursors[9], (Cursor{1, 0}));
  for (const int from : {2, 8, 10, 12}) {
    PairStream resumed(p, cursors[static_cast<std::size_t>(from) - 1]);
    for (int i = from; i < from + 6; ++i)
      EXPECT_EQ(resumed.next().ids, ids[static_cast<std::size_t>(i)]);
  }
}

TEST_P(PairStreamTest, RanksTogetherSeeWhatOneRankSees) {
  auto p = plan();
  p.batch = 4;
  PairStream one(p, {});
  p.batch = 2;
  p.world = 2;
  PairStream first(p, {});
  p.rank = 1;
  PairStream second(p, {});
  for (int step = 0; step < 5; ++step) {
    auto ids = first.next().ids;
    const auto more = second.next().ids;
    ids.insert(ids.end(), more.begin(), more.end());
    EXPECT_EQ(one.next().ids, ids);
  }
}

// Of one global batch of 64, whoever takes it.
TEST_P(PairStreamTest, OneEightAndSixtyFourWorkersSeeTheSamePairsInTheSameOrder) {
  synthetic_.train = 131;
  fs::remove_all(folder_);
  test::write_synthetic_store(folder_, synthetic_);
  for (const Locality& locality : {Locality{}, Locality{8, 3}}) {
    std::vector<std::vector<std::uint64_t>> orders;
    for (const int world : {1, 8, 64}) {
      auto& order = orders.emplace_back();
      for (int rank = 0; rank < world; ++rank) {
        auto p = plan();
        p.locality = locality;
        p.threads = p.ahead = 1;
        p.rank = rank;
        p.world = world;
        p.batch = 64 / world;
        PairStream stream(p, {.epoch = 3, .position = 1});  // mid-epoch: the last of two steps
        const auto ids = stream.next().ids;
        order.insert(order.end(), ids.begin(), ids.end());
      }
    }
    EXPECT_EQ(orders[0], orders[1]);
    EXPECT_EQ(orders[0], orders[2]);
    EXPECT_EQ(std::set(orders[0].begin(), orders[0].end()).size(), 64U);
  }
}

TEST_P(PairStreamTest, AShardThatIsCutDuringTheRunCostsItsPairsAndNotTheRun) {
  auto p = plan();
  p.threads = p.ahead = 1;
  PairStream stream(p, {});
  stream.next();
  fs::resize_file(folder_ / "shard-00002.h5", 100);  // pairs 8, 9 and 10
  for (int step = 0; step < 22; ++step) stream.next();
  EXPECT_EQ(stream.counters().quarantined, 3U);
}

TEST_P(PairStreamTest, AShardThatIsRemovedDuringTheRunIsReadToItsEnd) {
  PairStream stream(plan(), {});
  fs::remove(folder_ / "shard-00002.h5");
  for (int step = 0; step < 22; ++step) stream.next();
  EXPECT_EQ(stream.counters().quarantined, 0U);
}

TEST_P(PairStreamTest, FlippedByteIsQuarantinedAndReplaced) {
  flip(2);  // the query of pair 1
  auto p = plan();
  p.batch = 2;
  PairStream stream(p, {});
  PairStream again(p, {});
  for (int step = 0; step < 15; ++step) {
    const PairBatch batch = stream.next();
    EXPECT_EQ(batch.ids.size(), 2U);
    for (const auto id : batch.ids) EXPECT_NE(id, 1U);
    EXPECT_EQ(again.next().ids, batch.ids) << "the replacement is deterministic";
  }
  EXPECT_EQ(stream.counters().quarantined, 1U);
}

TEST_P(PairStreamTest, ABadStagedCopyCostsNoPairAndIsNotCountedAsABadRecord) {
  const auto manifest = store::load_manifest(folder_);
  auto p = plan();
  PairStream plain(p, {});
  p.staged = folder_ / "staged";
  const fs::path copy = store::staged_file(p.staged, manifest, manifest.shards[0]);
  fs::create_directories(copy.parent_path());
  fs::copy_file(folder_ / "shard-00000.h5", copy);
  store::flip_a_bit_of_crop(copy, 2);  // the query of pair 1
  PairStream stream(p, {});
  for (int step = 0; step < 11; ++step) {
    const PairBatch batch = stream.next(), expected = plain.next();
    EXPECT_EQ(batch.ids, expected.ids);
    EXPECT_TRUE(batch.query_BDHW.equal(expected.query_BDHW));
  }
  EXPECT_EQ(stream.counters().quarantined, 0U);
  EXPECT_EQ(stream.counters().copies_left, 1U);
}

TEST_P(PairStreamTest, SpentBudgetEndsTheRunNamingTheShard) {
  for (const std::int64_t crop : {0, 2, 4}) flip(crop);
  auto p = plan();
  p.bad_record_budget = 2;
  PairStream stream(p, {});
  try {
    for (int step = 0; step < 22; ++step) stream.next();
    FAIL() << "three bad records passed a budget of two";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("shard-00000.h5, crop"));
    EXPECT_THAT(e.what(), ::testing::HasSubstr("budget is 2"));
  }
}

TEST_P(PairStreamTest, TooFewPairsSaysHowMany) {
  auto p = plan();
  p.batch = 3;
  p.world = 4;
  try {
    PairStream stream(p, {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), ::testing::AllOf(::testing::HasSubstr("11 pairs"),
                                           ::testing::HasSubstr("needs 12")));
  }
}

TEST_P(PairStreamTest, ChangedManifestIsRefused) {
  std::ifstream in(folder_ / "store.json");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  text.replace(text.find("\"train\": 11"), 11, "\"train\": 12");
  std::ofstream(folder_ / "store.json") << text;
  EXPECT_THROW(PairStream(plan(), {}), Error);
}

TEST_P(PairStreamTest, MissingShardIsRefused) {
  fs::remove(folder_ / "shard-00001.h5");
  try {
    PairStream stream(plan(), {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("shard-00001.h5"));
  }
}

INSTANTIATE_TEST_SUITE_P(Either, PairStreamTest, ::testing::Bool(), [](const auto& of) {
  return of.param ? "PastThePageCache" : "ThroughThePageCache";
});

TEST(DecodePool, AHungReadEndsInAnErrorThatNamesIt) {
  auto never = std::make_shared<std::promise<void>>();
  auto until = std::make_shared<std::shared_future<void>>(never->get_future());
  {
    DecodePool pool({2, 2, 1, 0.2},
                    {[](std::uint64_t) { return PairBatch{}; },
                     [until](std::uint64_t s, std::int64_t, PairBatch&, DecodePool::Watch& w) {
                       w = 7;
                       if (s == 1) until->wait();
                       w = -1;
                     },
                     [](std::int64_t watched) { return "record " + std::to_string(watched); }});
    pool.next();
    try {
      pool.next();
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Data);
      EXPECT_THAT(e.what(), ::testing::HasSubstr("record 7"));
    }
  }  // the destructor does not wait for the hung thread
  never->set_value();
}

}  // namespace
}  // namespace homolog::data

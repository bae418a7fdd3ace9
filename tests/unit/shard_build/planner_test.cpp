// Claims about planning and building a store, on studies whose homologous points are known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "sharding/landmark_draw.h"
#include "sharding/shard_builder.h"
#include "sharding/store/landmark_groups.h"
#include "sharding/store/pair_store.h"
#include "sharding/store/verify.h"
#include "tests/unit/shard_build/moved_bodies.h"
#include "tests/unit/shard_store/flipped_bit.h"

namespace homolog::shard {
namespace {

namespace fs = std::filesystem;

TEST(LandmarkDraw, StaysInTheBodyAndOffTheUpperRasMargin) {
  MovedBodies studies(1);
  const auto volume = studies.volume(0);
  CounterRng rng(1, "t", 0);
  for (int i = 0; i < 500; ++i) {
    const Index3 at = draw_landmark(*volume, -125, rng);
    EXPECT_GT(volume->at(at), -125);
    EXPECT_GE(at.x, 10);
    EXPECT_GE(at.y, 10);
    EXPECT_LT(at.z, 30);
  }
  Volume air;
  air.grid.size = {20, 20, 20};
  air.hu.assign(8000, kAirHu);
  EXPECT_NO_THROW(draw_landmark(air, -125, rng)) << "after 10,000 draws any intensity will do";
}

class BuilderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::set_terminal_level("off");
    out_ = fs::temp_directory_path() / ("homolog_build_" + std::to_string(::getpid()));
    fs::remove_all(out_);
    plan_.crop = {16, 16, 16};
    plan_.landmarks_per_study = 3;
    plan_.studies_per_landmark = 3;
    plan_.validation = 0.2;
    for (std::size_t i = 0; i < 9; ++i) {
      import::CatalogEntry entry;
      entry.id = hex64(i + 1);
      entry.content_hash = hex64(100 + i);
      entries_.push_back(entry);
    }
  }
  void TearDown() override { fs::remove_all(out_); }
  store::StoreManifest build(BuildCounts& counts) {
    ShardBuilder builder(plan_, entries_, studies_, hex64(5), out_);
    return builder.build(counts, [](const Standing&) {});
  }
  MovedBodies studies_{9};
  ShardPlan plan_;
  std::vector<import::CatalogEntry> entries_;
  fs::path out_;
};

TEST_F(BuilderTest, BuildsAWholeStoreWhosePairsShowTheSameAnatomy) {
  BuildCounts counts;
  const auto manifest = build(counts);
  EXPECT_TRUE(store::verify(out_).findings.empty());
  // 7 train studies in groups of 3 and 4 (2 in validation); all directions of 3 or 4 studies a
  // landmark.
  EXPECT_EQ(manifest.pairs("train"), 3 * 3 * 6 + 4 * 3 * 12);
  EXPECT_EQ(manifest.crops(), 3 * 3 * 3 + 4 * 3 * 4 + 2 * 3 * 2)
      << "a landmark is stored once a study";
  const store::PairStore pairs({out_, "train"});
  store::ShardReader::Scratch scratch;
  std::vector<std::uint16_t> query(16 * 16 * 16), key(query);
  for (std::int64_t i = 0; i < pairs.pairs(); ++i) {
    const auto at = pairs.at(i);
    at.shard->read_window(at.pair.query, query, scratch);
    at.shard->read_window(at.pair.key, key, scratch);
    std::set<int> steps;  // where both show the body
    for (std::size_t v = 0; v < query.size(); ++v) {
      ASSERT_EQ(query[v] == 0, key[v] == 0) << "pair " << i;
      if (query[v] != 0) steps.insert(static_cast<int>(query[v]) - static_cast<int>(key[v]));
    }
    EXPECT_EQ(steps.size(), 1U) << "pair " << i;
  }
}

TEST_F(BuilderTest, APairOfPartnersIsAdmittedOnItsOwnSimilarity) {
  studies_.other_score = 0.5;
  BuildCounts counts;
  EXPECT_EQ(build(counts).pairs("train"), 3 * 3 * 4 + 4 * 3 * 6)
      << "only pairs with the study it was drawn in";
}

TEST_F(BuilderTest, TheBestDrawIsTakenAndCountedWhenNoneReachesTheThreshold) {
  studies_.anchor_score = studies_.other_score = 0.3;
  plan_.attempts = 21;
  BuildCounts counts;
  const auto manifest = build(counts);
  EXPECT_EQ(counts.plan.fallbacks, counts.plan.landmarks);
  EXPECT_EQ(counts.plan.draws, 21 * counts.plan.landmarks);
  EXPECT_EQ(manifest.pairs(""), 2 * counts.plan.landmarks) << "the primary partner's pair alone";
}

TEST_F(BuilderTest, GoesOnWhereItStoodWithTheSameBytes) {
  BuildCounts counts;
  const auto whole = build(counts);
  fs::remove(out_ / "store.json");
  fs::remove(out_ / whole.shards[1].file);
  BuildCounts again;
  const auto resumed = build(again);
  EXPECT_EQ(again.kept_shards, static_cast<std::int64_t>(whole.shards.size()) - 1);
  EXPECT_EQ(again.written_shards, 1);
  EXPECT_EQ(resumed.hash, whole.hash);
}

TEST_F(BuilderTest, ARepairNamesItsShardAndLeavesTheStoresLandmarks) {
  BuildCounts counts;
  const auto whole = build(counts);
  const std::int64_t landmarks = store::landmarks_of(out_, whole);
  EXPECT_LE(landmarks, counts.plan.landmarks) << "drawn ones may share a crop";
  EXPECT_TRUE(counts.repaired.empty());
  const std::string file = whole.shards[1].file;
  for (const bool missing : {false, true}) {
    if (missing) {
      fs::remove(out_ / file);
    } else {
      store::flip_a_bit_of_crop(out_ / file, 2);
    }
    BuildCounts again;
    const auto repaired = build(again);
    EXPECT_EQ(repaired.hash, whole.hash);
    EXPECT_EQ(again.repaired, std::vector{file});
    EXPECT_EQ(again.written_shards, 1);
    EXPECT_LT(again.plan.landmarks, landmarks) << "drawn for the one shard";
    EXPECT_EQ(store::landmarks_of(out_, repaired), landmarks);
  }
}

TEST_F(BuilderTest, AShardThatIsDamagedWhileNothingTellsOfItIsWrittenAgain) {
  BuildCounts counts;
  const auto whole = build(counts);
  const fs::path shard = out_ / whole.shards[0].file;
  std::uint64_t chunk = 0;
  {
    const store::ShardReader reader(shard);
    chunk = reader.chunk(1).offset + reader.chunk(1).size / 2;
  }
  const std::uint64_t size = fs::file_size(shard);
  for (const std::uint64_t at : {chunk, std::uint64_t{40}, size / 2, size - 1, size}) {
    fs::remove(out_ / "store.json");
    if (at == size) {
      fs::resize_file(shard, size / 2);
    } else {
      store::flip_a_bit(shard, at);
    }
    BuildCounts again;
    EXPECT_EQ(build(again).hash, whole.hash) << "byte " << at;
    EXPECT_TRUE(store::verify(out_).findings.empty()) << "byte " << at;
  }
}

TEST_F(BuilderTest, AFolderThatHoldsSomethingElseIsRefusedAndKeepsIt) {
  for (const fs::path stranger : {"notes.txt", "a.tmp-1", "draft.tmp-final", "building/thesis.txt",
                                  "building/src/thesis.txt", "shard-1.h5/x", "shards/x"}) {
    fs::remove_all(out_);
    fs::create_directories((out_ / stranger).parent_path());
    std::ofstream(out_ / stranger) << "x";
    BuildCounts counts;
    try {
      build(counts);
      ADD_FAILURE() << stranger << " is accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage) << e.what();
    }
    EXPECT_TRUE(fs::exists(out_ / stranger));
  }
}

TEST_F(BuilderTest, RefusesAFolderOfOtherSettings) {
  BuildCounts counts;
  build(counts);
  for (const bool finished : {true, false}) {
    if (!finished) fs::remove(out_ / "store.json");
    plan_.threshold = 0.8;
    try {
      build(counts);
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage);
      EXPECT_THAT(e.what(), ::testing::HasSubstr("other settings"));
    }
  }
}

TEST_F(BuilderTest, ASignalLeavesNoHalfShardAndNoStore) {
  // In a child, because a stop flag stays raised.
  const auto stopped = [this] {
    raise_stop_flag(15);
    BuildCounts counts;
    try {
      build(counts);
    } catch (const Error& e) {
      ::_exit(e.fault() == Fault::Stopped ? 0 : 2);
    }
    ::_exit(1);
  };
  EXPECT_EXIT(stopped(), ::testing::ExitedWithCode(0), "");
  EXPECT_TRUE(fs::is_empty(out_));
}

TEST_F(BuilderTest, CropsThatAreNearlyAllOutsideLeaveNoStore) {
  plan_.crop = {256, 256, 256};
  BuildCounts counts;
  try {
    build(counts);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("no pair possible"));
  }
  EXPECT_GT(counts.crops.outside, 0);
  EXPECT_FALSE(fs::exists(out_ / "store.json"));
}

TEST_F(BuilderTest, NoPairAndNoTwoSplitsShowOnePatient) {
  for (std::size_t i = 0; i < 9; ++i) entries_[i].subject = hex64(1000 + i % 4);
  plan_.validation = 0.5;
  BuildCounts counts;
  const auto manifest = build(counts);
  EXPECT_TRUE(store::verify(out_).findings.empty());
  EXPECT_EQ(counts.left_out.size(), 1U) << "nine scans of four patients, one has three";
  std::map<std::string, std::set<std::string>> patients;
  for (const auto& [split, ids] : manifest.studies) {
    for (const auto& id : ids) patients[split].insert(manifest.subject_of(id));
  }
  EXPECT_EQ(patients["train"].size(), 2U);
  EXPECT_EQ(patients["validation"].size(), 2U);
}

TEST_F(BuilderTest, VerifyNamesAPatientWhoIsInTwoSplitsOrTwiceInAPair) {
  BuildCounts counts;
  auto manifest = build(counts);
  for (auto& [study, subject] : manifest.subjects) subject = hex64(77);
  store::save_manifest(out_, manifest);
  std::string all;
  for (const auto& finding : store::verify(out_).findings) all += finding.what + "\n";
  EXPECT_THAT(all, ::testing::HasSubstr("subject " + hex64(77) + " is in two splits"));
  EXPECT_THAT(all, ::testing::HasSubstr("shows one subject twice"));
}

TEST_F(BuilderTest, RepeatedContentIsLeftOut) {
  entries_[3].content_hash = entries_[1].content_hash;
  std::int64_t duplicates = 0;
  EXPECT_EQ(distinct(entries_, duplicates).size(), 8U);
  EXPECT_EQ(duplicates, 1);
}

TEST_F(BuilderTest, VerifyNamesShardAndCropOfAFlippedByte) {
  BuildCounts counts;
  const auto manifest = build(counts);
  const fs::path file = out_ / manifest.shards[0].file;
  std::string where;
  {
    const store::ShardReader shard(file);
    where = shard.where(2);
  }
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(std::stoll(where.substr(where.rfind(' ') + 1)) + 30);
  bytes.put('\x7f');
  bytes.close();
  const auto findings = store::verify(out_).findings;
  ASSERT_FALSE(findings.empty());
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [&](const auto& f) {
    return f.shard == manifest.shards[0].file && f.crop == 2;
  }));
}

}  // namespace
}  // namespace homolog::shard

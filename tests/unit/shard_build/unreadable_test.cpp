// Claims about studies that cannot be read: they cost themselves, and a store does not tell when
// its making was interrupted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "base/counter_rng.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "sharding/shard_builder.h"
#include "sharding/store/verify.h"

namespace homolog::shard {
namespace {

namespace fs = std::filesystem;

// Bodies of one shape; those in `broken` cannot be read.
class SameBodies : public Studies {
 public:
  SameBodies() {
    for (std::uint64_t i = 0; i < 9; ++i) {
      CounterRng rng(i, "hu", 0);
      auto& body = bodies_.emplace_back(std::make_shared<Volume>());
      body->grid.size = {40, 40, 40};
      for (int v = 0; v < 64000; ++v) body->hu.push_back(static_cast<std::int16_t>(rng.below(200)));
    }
  }
  void check(std::size_t study) override {
    if (broken.contains(study)) throw Error(Fault::Data, "scan is gone");
  }
  std::shared_ptr<const Volume> volume(std::size_t study) override {
    EXPECT_FALSE(broken.contains(study));
    return bodies_[study];
  }
  std::vector<match::Match> match(std::size_t, std::size_t to,
                                  const std::vector<Point3>& points) override {
    std::vector<match::Match> out;
    for (const Point3& p : points) out.push_back({p, bodies_[to]->grid.nearest(p), 0.9});
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i].voxel = {static_cast<std::int64_t>(points[i].x),
                      static_cast<std::int64_t>(points[i].y),
                      static_cast<std::int64_t>(points[i].z)};
    }
    return out;
  }
  std::vector<double> similarity(std::size_t, const std::vector<Point3>& a, std::size_t,
                                 const std::vector<Point3>&) override {
    return std::vector<double>(a.size(), 0.9);
  }
  std::set<std::size_t> broken;

 private:
  std::vector<std::shared_ptr<Volume>> bodies_;
};

class UnreadableTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::set_terminal_level("off");
    out_ = fs::temp_directory_path() / ("homolog_unreadable_" + std::to_string(::getpid()));
    fs::remove_all(out_);
    plan_.crop = {16, 16, 16};
    plan_.landmarks_per_study = 2;
    plan_.studies_per_landmark = 3;
    plan_.validation = 0;
    for (std::size_t i = 0; i < 9; ++i) {
      import::CatalogEntry entry;
      entry.id = hex64(i + 1);
      entry.content_hash = hex64(100 + i);
      entries_.push_back(entry);
    }
  }
  void TearDown() override { fs::remove_all(out_); }
  store::StoreManifest build(BuildCounts& counts) {
    std::int64_t last = 0;
    ShardBuilder builder(plan_, entries_, studies_, hex64(5), out_);
    const auto manifest =
        builder.build(counts, [&](const Standing& standing) { last = standing.landmarks; });
    EXPECT_TRUE(last == builder.total_landmarks() || last == 0);
    return manifest;
  }
  static std::set<std::string> names(const BuildCounts& counts) {
    std::set<std::string> out;
    for (const auto& one : counts.left_out) out.insert(one.id);
    return out;
  }
  SameBodies studies_;
  ShardPlan plan_;
  std::vector<import::CatalogEntry> entries_;
  fs::path out_;
};

TEST_F(UnreadableTest, IsLeftOutByNameAndTheRestGoesOn) {
  studies_.broken = {4};
  BuildCounts counts;
  const auto manifest = build(counts);
  EXPECT_TRUE(store::verify(out_).findings.empty());
  EXPECT_EQ(manifest.studies.at("train").size(), 8U);
  EXPECT_EQ(names(counts), std::set<std::string>{hex64(5)});
  BuildCounts again;
  build(again);
  EXPECT_EQ(names(again), names(counts)) << "a finished store names them too";
}

TEST_F(UnreadableTest, AnInterruptedBuildEndsInTheSameStore) {
  studies_.broken = {4};
  BuildCounts counts;
  const auto whole = build(counts);
  fs::remove(out_ / "store.json");
  fs::remove(out_ / whole.shards[0].file);
  BuildCounts again;
  EXPECT_EQ(build(again).hash, whole.hash);
  EXPECT_EQ(names(again), names(counts));
  EXPECT_EQ(again.written_shards, 1);
}

TEST_F(UnreadableTest, DamagedShardsOfAFinishedStoreAreWrittenAgain) {
  BuildCounts counts;
  const auto whole = build(counts);
  ASSERT_GE(whole.shards.size(), 2U);
  fs::remove(out_ / whole.shards[0].file);
  std::fstream(out_ / whole.shards[1].file, std::ios::in | std::ios::out).seekp(4000).put('\x55');
  ASSERT_FALSE(store::verify(out_).findings.empty());
  BuildCounts again;
  EXPECT_EQ(build(again).hash, whole.hash);
  EXPECT_EQ(again.written_shards, 2);
  EXPECT_TRUE(store::verify(out_).findings.empty());
}

TEST_F(UnreadableTest, AStudyThatWasMendedMeanwhileComesIn) {
  BuildCounts counts;
  const auto whole = build(counts);
  fs::remove_all(out_);
  studies_.broken = {4};
  build(counts);
  fs::remove(out_ / "store.json");
  studies_.broken = {};
  BuildCounts again;
  EXPECT_EQ(build(again).hash, whole.hash);
  EXPECT_TRUE(again.left_out.empty());
}

TEST_F(UnreadableTest, AStudyAloneInItsGroupIsNamedToo) {
  std::vector<Member> members;
  for (const auto& entry : entries_) members.push_back({entry.id, entry.id});
  const auto groups = make_groups(members, 0, 3, plan_.seed);
  studies_.broken = {groups[0].studies[0], groups[0].studies[1]};
  BuildCounts counts;
  EXPECT_EQ(build(counts).studies.at("train").size(), 6U);
  EXPECT_EQ(names(counts).size(), 3U);
}

TEST_F(UnreadableTest, FewerThanTwoLeftIsADataFaultThatSaysWhy) {
  studies_.broken = {0, 1, 2, 3, 4, 5, 6, 7};
  BuildCounts counts;
  try {
    ShardBuilder builder(plan_, entries_, studies_, hex64(5), out_);
    builder.build(counts, [](const Standing&) {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("9 studies could not be used"));
    EXPECT_THAT(e.what(), ::testing::HasSubstr("scan is gone"));
  }
  EXPECT_FALSE(fs::exists(out_ / "store.json"));
}

}  // namespace
}  // namespace homolog::shard

// Claims about batches from a store: what the trainer gets is the stored pair, oriented and scaled.
#include "train/pair_source.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "data/to_network.h"
#include "tests/unit/data/synthetic_store.h"

namespace homolog::train {
namespace {

namespace fs = std::filesystem;

class PairSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    plan_.store = fs::temp_directory_path() / ("homolog_source_" + std::to_string(::getpid()));
    fs::remove_all(plan_.store);
    synthetic_.train = 7;
    synthetic_.validation = 5;
    synthetic_.crop = {20, 16, 12};
    synthetic_.margin = 2;
    test::write_synthetic_store(plan_.store, synthetic_);
    start_.batch = 2;
  }
  void TearDown() override { fs::remove_all(plan_.store); }
  // The network's view of a stored crop, without shift.
  at::Tensor expected(std::uint64_t id, int side) const {
    const auto hu = test::synthetic_hu(synthetic_, static_cast<std::int64_t>(id), side);
    const at::Tensor stored = at::tensor(at::ArrayRef<std::int16_t>(hu), at::kShort)
                                  .clamp(-125, 255)
                                  .add(125)
                                  .to(at::kShort);
    return data::to_network(data::take_crop(stored.view({1, 12, 16, 20}), 2, {id}, 0, 0, false),
                            380)[0];
  }
  test::SyntheticPlan synthetic_;
  PairSourcePlan plan_;
  Start start_;
};

TEST_F(PairSourceTest, PlainViewsAreTheStoredPair) {
  plan_.random_shift = false;
  PairSource source(plan_, start_);
  const PairStoreFacts facts = pair_store_facts(plan_.store);
  EXPECT_EQ(facts.crop_xyz, (std::array<std::int64_t, 3>{16, 12, 8}));
  EXPECT_EQ(facts.window_low_hu, -125);
  EXPECT_EQ(facts.window_high_hu, 255);
  for (int step = 0; step < 5; ++step) {
    const Batch batch = source.next();
    ASSERT_EQ(batch.pairs, 2);
    for (std::int64_t b = 0; b < 2; ++b) {
      EXPECT_TRUE(at::equal(batch.views.at("query_B1XYZ")[b],
                            expected(batch.views.ids[static_cast<std::size_t>(b)], 0)));
      EXPECT_TRUE(at::equal(batch.views.at("key_B1XYZ")[b],
                            expected(batch.views.ids[static_cast<std::size_t>(b)], 1)));
    }
    EXPECT_FALSE(at::equal(batch.views.at("target_query_B1XYZ"), batch.views.at("query_B1XYZ")));
  }
}

TEST_F(PairSourceTest, TheTargetSeesThePlainCropWhenToldSo) {
  plan_.augment_teacher = false;
  PairSource source(plan_, start_);
  const Batch batch = source.next();
  EXPECT_TRUE(at::equal(batch.views.at("target_key_B1XYZ"), batch.views.at("key_B1XYZ")));
}

TEST_F(PairSourceTest, ResumedBatchesAreBitEqual) {
  PairSource whole(plan_, start_);
  std::vector<Batch> batches;
  for (int i = 0; i < 8; ++i) batches.push_back(whole.next());
  for (const std::size_t from : {1U, 3U, 5U}) {
    Start later = start_;
    later.cursor = batches[from - 1].next;
    PairSource resumed(plan_, later);
    for (std::size_t i = from; i < 8; ++i) {
      const Batch batch = resumed.next();
      for (const auto& [name, tensor] : batch.views.tensors)
        EXPECT_TRUE(at::equal(tensor, batches[i].views.at(name))) << name;
    }
  }
}

TEST_F(PairSourceTest, ValidationIsTheSameOnEveryCallAndDisjointFromTraining) {
  PairSource source(plan_, start_);
  ASSERT_EQ(source.validation_batches(), 3);  // 5 pairs by two: the last batch holds one
  EXPECT_EQ(source.validation_batch(2).pairs, 1);
  for (std::int64_t i = 0; i < 3; ++i) {
    const Batch first = source.validation_batch(i);
    source.next();
    const Batch again = source.validation_batch(i);
    for (const auto id : first.views.ids) EXPECT_GE(id, 7U);
    for (const auto& [name, tensor] : first.views.tensors)
      EXPECT_TRUE(at::equal(tensor, again.views.at(name)));
  }
}

TEST_F(PairSourceTest, AValidationLooksAtTheSamePairsInEveryWorld) {
  const auto looked_at = [&](int world, std::int64_t batch) {
    std::multiset<std::uint64_t> ids;
    for (int rank = 0; rank < world; ++rank) {
      start_.rank = rank;
      start_.world = world;
      start_.batch = batch;
      PairSource source(plan_, start_);
      for (std::int64_t i = 0; i < source.validation_batches(); ++i) {
        const Batch one = source.validation_batch(i);
        EXPECT_EQ(one.pairs, one.views.at("query_B1XYZ").size(0));
        ids.insert(one.views.ids.begin(), one.views.ids.end());
      }
    }
    return ids;
  };
  plan_.validation_pairs = 4;
  const auto alone = looked_at(1, 2);
  EXPECT_EQ(alone.size(), 4U);
  EXPECT_EQ(looked_at(3, 1), alone);
  EXPECT_EQ(looked_at(2, 3), alone);
  EXPECT_EQ(looked_at(7, 1), alone) << "more ranks than pairs";
}

TEST_F(PairSourceTest, ACappedValidationIsTheBeginningOfTheWholeOne) {
  PairSource whole(plan_, start_);
  plan_.validation_pairs = 2;
  PairSource capped(plan_, start_);
  ASSERT_EQ(capped.validation_batches(), 1);
  EXPECT_EQ(capped.validation_batch(0).views.ids, whole.validation_batch(0).views.ids);
}

}  // namespace
}  // namespace homolog::train

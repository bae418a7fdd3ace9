// Claims about the order of pairs (P3).
#include "data/pair_order.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace homolog::data {
namespace {

TEST(PairOrder, IsAPermutationForEverySize) {
  for (std::uint64_t n = 1; n < 300; n += n < 20 ? 1 : 37) {
    const PairOrder order(n, 123, 4);
    std::set<std::uint64_t> seen;
    for (std::uint64_t i = 0; i < n; ++i) seen.insert(order.at(i));
    EXPECT_EQ(seen.size(), n);
    EXPECT_EQ(*seen.rbegin(), n - 1);
  }
}

TEST(PairOrder, DependsOnSeedAndEpoch) {
  const auto list = [](std::uint64_t seed, std::uint64_t epoch) {
    std::vector<std::uint64_t> out;
    for (std::uint64_t i = 0; i < 100; ++i) out.push_back(PairOrder(100, seed, epoch).at(i));
    return out;
  };
  EXPECT_EQ(list(1, 0), list(1, 0));
  EXPECT_NE(list(1, 0), list(2, 0));
  EXPECT_NE(list(1, 0), list(1, 1));
  EXPECT_NE(list(1, 0), list(1, std::uint64_t{1} << 32));
}

TEST(PairOrder, EveryPairComesFirstAboutEquallyOften) {
  std::map<std::uint64_t, int> first;
  constexpr int kEpochs = 10000;
  for (std::uint64_t e = 0; e < kEpochs; ++e) ++first[PairOrder(10, 7, e).at(0)];
  ASSERT_EQ(first.size(), 10U);
  for (const auto& [pair, count] : first) EXPECT_NEAR(count, 1000, 150) << pair;
}

TEST(PairOrder, IsAPermutationForEveryLocalityAndShortBlock) {
  for (const std::uint64_t pairs : {1U, 2U, 7U, 64U, 103U, 257U}) {
    for (const Locality& locality : {Locality{1, 1}, Locality{4, 3}, Locality{16, 2},
                                     Locality{300, 8}, Locality{103, 1}, Locality{8, 1000}}) {
      for (const std::uint64_t epoch : {0U, 5U}) {
        const PairOrder order(pairs, 123, epoch, locality);
        std::set<std::uint64_t> seen;
        for (std::uint64_t i = 0; i < pairs; ++i) seen.insert(order.at(i));
        EXPECT_EQ(seen.size(), pairs) << pairs << " " << locality.block;
        EXPECT_EQ(*seen.rbegin(), pairs - 1);
      }
    }
  }
}

TEST(PairOrder, LocalOrderReadsAWindowOfWholeBlocksBeforeTheNext) {
  constexpr std::uint64_t kPairs = 1000, kBlock = 10, kMixed = 5;
  const PairOrder order(kPairs, 9, 1, {kBlock, kMixed});
  for (std::uint64_t window = 0; window < kPairs / (kBlock * kMixed); ++window) {
    std::set<std::uint64_t> pairs;
    for (std::uint64_t i = 0; i < kBlock * kMixed; ++i)
      pairs.insert(order.at(window * kBlock * kMixed + i));
    int runs = 1;
    for (auto at = pairs.begin(); std::next(at) != pairs.end(); ++at)
      runs += *std::next(at) != *at + 1;
    EXPECT_LE(runs, static_cast<int>(kMixed) + 1) << "one block may wrap around the store's end";
  }
}

TEST(PairOrder, LocalOrderMixesDifferentBlocksInEveryEpoch) {
  const auto first_window = [](std::uint64_t epoch) {
    const PairOrder order(1000, 9, epoch, {10, 5});
    std::set<std::uint64_t> pairs;
    for (std::uint64_t i = 0; i < 50; ++i) pairs.insert(order.at(i));
    return pairs;
  };
  for (std::uint64_t epoch = 1; epoch < 20; ++epoch)
    EXPECT_NE(first_window(epoch), first_window(0)) << epoch;
}

std::multiset<std::uint64_t> step_of(int world, std::int64_t batch, std::int64_t accumulate,
                                     std::int64_t step) {
  std::multiset<std::uint64_t> all;
  const PairOrder order(103, 5, 2);
  for (int rank = 0; rank < world; ++rank) {
    const Partition p{103, batch, accumulate, rank, world};
    for (std::int64_t m = 0; m < accumulate; ++m) {
      for (std::int64_t row = 0; row < batch; ++row)
        all.insert(order.at(static_cast<std::uint64_t>(p.position(step, m, row))));
    }
  }
  return all;
}

TEST(PairOrder, AGlobalBatchIsTheSameForEveryWorld) {
  for (std::int64_t step = 0; step < 103 / 8; ++step) {
    const auto one = step_of(1, 8, 1, step);
    EXPECT_EQ(one, step_of(2, 4, 1, step));
    EXPECT_EQ(one, step_of(8, 1, 1, step));
    EXPECT_EQ(one, step_of(2, 2, 2, step));
    EXPECT_EQ(one, step_of(1, 1, 8, step));
  }
}

TEST(PairOrder, ReplacementsComeFromTheLeftOutTail) {
  const Partition p{103, 8, 1, 0, 1};
  for (std::int64_t position = 0; position < 96; ++position) {
    for (std::int64_t attempt = 0; attempt < 7; ++attempt)
      EXPECT_GE(p.reserve(position, attempt), 96);
  }
}

}  // namespace
}  // namespace homolog::data

// Which ranks count as slow.
#include "cluster/doctor/slow_ranks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace homolog::doctor {
namespace {

std::vector<int> named(std::vector<double> values, Better better = Better::Higher) {
  std::vector<int> ranks;
  for (const SlowRank& slow : slow_ranks(values, better, 0.15)) ranks.push_back(slow.rank);
  return ranks;
}

using Ranks = std::vector<int>;

TEST(SlowRanks, OneStragglerAmongManyIsNamed) {
  EXPECT_EQ(named({100, 101, 99, 60, 100, 102, 98, 100}), Ranks{3});
}

TEST(SlowRanks, TheSpreadThatAStragglerMakesDoesNotHideIt) {
  // Of three, with itself in the spread, it would lie 1.41 sigma behind however slow it is.
  EXPECT_EQ(named({100, 100, 10}), Ranks{2});
}

TEST(SlowRanks, OfTwoRanksTheMarginDecides) {
  EXPECT_EQ(named({100, 95}), Ranks{});
  EXPECT_EQ(named({100, 70}), Ranks{1});
  EXPECT_EQ(named({70, 100}), Ranks{0});
}

TEST(SlowRanks, ASmallSpreadIsNoSlowness) {
  // 97 lies many sigma behind, and three per cent.
  EXPECT_EQ(named({100, 100, 100.1, 97, 100, 99.9}), Ranks{});
}

TEST(SlowRanks, OneFastRankMakesNoStragglersOfTheOthers) {
  EXPECT_EQ(named({50, 100, 50, 50, 50}), Ranks{});
}

TEST(SlowRanks, WithinTheOthersSpreadARankIsNotSlow) {
  // 70 is 30 % behind the others' median, and 0.7 of their deviations; 40 is 2 of them behind.
  EXPECT_EQ(named({40, 160, 100, 100, 70}), Ranks{0});
}

TEST(SlowRanks, TwoStragglersAreBothNamedTheSlowestFirst) {
  EXPECT_EQ(named({100, 50, 100, 100, 40, 100, 100}), (Ranks{4, 1}));
}

TEST(SlowRanks, OfSecondsTheLargerIsSlow) {
  EXPECT_EQ(named({1.0, 1.0, 1.6, 1.0}, Better::Lower), Ranks{2});
  EXPECT_EQ(named({1.0, 1.0, 0.4, 1.0}, Better::Lower), Ranks{});
}

TEST(SlowRanks, RanksThatDidNotMeasureAreLeftOut) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(named({100, none, none, 50}), Ranks{3});
  EXPECT_EQ(named({none, none, 50}), Ranks{});
  EXPECT_EQ(named({}), Ranks{});
}

TEST(SlowRanks, TheReportHoldsTheRanksFigureAndTheOthers) {
  const auto slow = slow_ranks(std::vector<double>{100, 110, 50, 90}, Better::Higher, 0.15);
  ASSERT_EQ(slow.size(), 1U);
  EXPECT_EQ(slow[0].value, 50);
  EXPECT_EQ(slow[0].others_median, 100);
  EXPECT_NEAR(slow[0].sigmas, 50 / std::sqrt(200.0 / 3), 1e-9);
  EXPECT_EQ(slow[0].fraction, 0.5);
}

}  // namespace
}  // namespace homolog::doctor

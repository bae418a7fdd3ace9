// Following RUN/metrics.jsonl: growth, restarts, thinning, damaged lines.
#include "monitoring/metrics_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

namespace homolog::monitoring {
namespace {

std::string line(int step, double loss) {
  return R"({"step":)" + std::to_string(step) + R"(,"epoch":0,"total":)" + std::to_string(loss) +
         R"(,"terms":{"inter":1.5},"lr":0.001,"seconds":2.0,"parts":{"forward":1.5,"other":0.5},"pairs_per_s":4,"skipped":false})";
}

double at(const MetricsLog& log, const CurvePoint& point, const std::string& name) {
  const auto it = std::find(log.columns().begin(), log.columns().end(), name);
  const auto index = static_cast<std::size_t>(it - log.columns().begin());
  return index < point.values.size() ? point.values[index] : NAN;
}

class MetricsLogFile : public testing::Test {
 protected:
  void SetUp() override {
    file_ =
        std::filesystem::temp_directory_path() / ("metrics-" + std::to_string(getpid()) + ".jsonl");
    std::filesystem::remove(file_);
  }
  void TearDown() override { std::filesystem::remove(file_); }
  void append(const std::string& text) { std::ofstream(file_, std::ios::app) << text; }
  std::filesystem::path file_;
};

TEST_F(MetricsLogFile, FollowsAGrowingFileAndWaitsForTheEndOfALine) {
  MetricsLog log(file_);
  EXPECT_FALSE(log.poll()) << "no file yet";
  append(line(1, 5) + "\n" + line(2, 4).substr(0, 30));
  EXPECT_TRUE(log.poll());
  EXPECT_EQ(log.points().size(), 1u);
  append(line(2, 4).substr(30) + "\n");
  EXPECT_TRUE(log.poll());
  EXPECT_FALSE(log.poll());
  ASSERT_EQ(log.points().size(), 2u);
  EXPECT_EQ(log.totals().malformed, 0);
  EXPECT_DOUBLE_EQ(at(log, log.points()[1], "total"), 4);
  EXPECT_DOUBLE_EQ(at(log, log.points()[1], "term.inter"), 1.5);
}

TEST_F(MetricsLogFile, AReplacedFileIsReadAnew) {
  append(line(1, 5) + "\n" + line(2, 5) + "\n");
  MetricsLog log(file_);
  log.poll();
  std::ofstream(file_, std::ios::trunc) << line(1, 3) << "\n";
  log.poll();
  ASSERT_EQ(log.points().size(), 1u);
  EXPECT_DOUBLE_EQ(at(log, log.points()[0], "total"), 3);
}

TEST(MetricsLog, SumsPartsPairsAndSkips) {
  MetricsLog log("");
  log.feed(line(1, 5));
  log.feed(
      R"({"step":2,"total":null,"seconds":1,"pairs_per_s":2,"skipped":true,"parts":{"forward":1}})");
  EXPECT_EQ(log.totals().steps, 2);
  EXPECT_EQ(log.totals().skipped, 1);
  EXPECT_DOUBLE_EQ(log.totals().seconds, 3);
  EXPECT_DOUBLE_EQ(log.totals().pairs, 10);
  EXPECT_DOUBLE_EQ(log.totals().part_seconds.at("forward"), 2.5);
  EXPECT_EQ(log.totals().last_skipped, 2);
  EXPECT_TRUE(std::isnan(at(log, log.points()[1], "total")));
}

TEST(MetricsLog, AResumedRunReplacesWhatCameAfterItsCheckpoint) {
  MetricsLog log("");
  for (int step = 1; step <= 10; ++step) log.feed(line(step, 5));
  log.feed(R"({"step":10,"validation":{"total":6}})");
  const auto generation = log.generation();
  log.feed(line(6, 1));
  EXPECT_EQ(log.totals().resumed_at, (std::vector<std::int64_t>{6}));
  EXPECT_GT(log.generation(), generation);
  ASSERT_EQ(log.points().size(), 6u);
  EXPECT_DOUBLE_EQ(at(log, log.points()[5], "total"), 1);
  EXPECT_TRUE(log.validation().empty());
  EXPECT_EQ(log.totals().steps, 11) << "steps made twice took time twice";
}

TEST(MetricsLog, LongRunsKeepBoundedMemoryAndTheMean) {
  MetricsLog log("", 100);
  for (int step = 1; step <= 10000; ++step) log.feed(line(step, step));
  EXPECT_LE(log.points().size(), 100u);
  EXPECT_EQ(log.stride(), 128);
  for (std::size_t i = 1; i < log.points().size(); ++i)
    EXPECT_LT(log.points()[i - 1].step, log.points()[i].step);
  const CurvePoint& point = log.points()[10];
  EXPECT_NEAR(at(log, point, "total"), static_cast<double>(point.step) - 63.5, 1e-6);
}

TEST(MetricsLog, DamagedLinesAreCountedAndTheRestIsRead) {
  MetricsLog log("");
  for (const char* bad : {"{", "[1]", "{\"loss\":1}", "nonsense", "{\"step\":\"1\"}"})
    log.feed(bad);
  log.feed("");
  log.feed(line(1, 5));
  EXPECT_EQ(log.totals().malformed, 5);
  EXPECT_EQ(log.points().size(), 1u);
}

TEST(MetricsLog, ValidationMayBeANumberOrTerms) {
  MetricsLog log("");
  log.feed(R"({"step":5,"validation":3.5})");
  log.feed(R"({"step":10,"validation":{"total":3,"inter":1}})");
  ASSERT_EQ(log.validation().size(), 2u);
  EXPECT_DOUBLE_EQ(log.validation()[0].values.at("total"), 3.5);
  EXPECT_DOUBLE_EQ(log.validation()[1].values.at("inter"), 1);
}

}  // namespace
}  // namespace homolog::monitoring

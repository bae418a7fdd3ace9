// The report of a run: figures, advice, a self-contained page, refusals.
#include "monitoring/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"

namespace homolog::monitoring {
namespace {

class Report : public testing::Test {
 protected:
  void SetUp() override {
    run_ = std::filesystem::temp_directory_path() / ("report-" + std::to_string(getpid()));
    std::filesystem::create_directories(run_ / "checkpoints" / "step-00000040");
    std::ofstream(run_ / "config.ini")
        << "[data]\nthreads = 3\nstore = /home/someone/stores/s\n[schedule]\nsteps=60\n";
    std::ofstream(run_ / "manifest.json")
        << R"({"version":"0.1.0","world":2,"store_hash":"ab","resumed_from_step":40})";
    std::ofstream(run_ / "checkpoints" / "step-00000040" / "manifest.json") << "{}";
    std::filesystem::create_directories(run_ / "checkpoints" / "step-00000050.tmp-host-1-0");
    std::filesystem::create_directories(run_ / "checkpoints" /
                                        "step-00000060");  // no manifest: not complete
  }
  void TearDown() override { std::filesystem::remove_all(run_); }
  void write_steps(int count, double wait, double loss_slope) {
    std::ofstream out(run_ / "metrics.jsonl");
    for (int step = 1; step <= count; ++step) {
      out << R"({"step":)" << step << R"(,"total":)" << 10 + loss_slope * step
          << R"(,"terms":{"<inter>":1,"intra":2},"seconds":1,"parts":{"data_wait":)" << wait
          << R"(,"forward":)" << 1 - wait << R"(},"pairs_per_s":8,"skipped":)"
          << (step == 3 ? "true" : "false") << "}\n";
    }
  }
  std::filesystem::path run_;
};

TEST_F(Report, TellsWhatRanAndWhereTheTimeWent) {
  write_steps(60, 0.14, -0.1);
  const RunReport report = read_report(run_);
  EXPECT_EQ(report.phases.front().part, "forward");
  EXPECT_NEAR(report.share("data_wait"), 0.14, 1e-9);
  EXPECT_DOUBLE_EQ(report.pairs_per_s, 8);
  EXPECT_EQ(report.resumed_at, (std::vector<std::int64_t>{40}))
      << "from the manifest, when the log does not show it";
  EXPECT_EQ(report.identity.store, "s");
  ASSERT_EQ(report.checkpoints.size(), 1u) << "only complete checkpoints";
  const auto json = as_json(report);
  EXPECT_EQ(json["skipped"], 1);
  EXPECT_EQ(json["world"], 2);
  EXPECT_NEAR(json["loss_first"].get<double>(), 9.45, 1e-9);
  EXPECT_NEAR(json["loss_last"].get<double>(), 4.45, 1e-9);
  EXPECT_NE(as_text(report).find("data_wait"), std::string::npos);
}

TEST_F(Report, AdviceNamesTheSettingAndItsValue) {
  write_steps(60, 0.14, -0.1);
  const auto advice = read_report(run_).advice;
  ASSERT_FALSE(advice.empty());
  EXPECT_EQ(advice.front(), "data wait is 14 % of the step: raise data.threads from 3 to 6");
}

TEST_F(Report, AQuietRunGetsNoAlarm) {
  write_steps(200, 0.01, -0.01);
  EXPECT_EQ(read_report(run_).advice, (std::vector<std::string>{"nothing stands out"}));
}

TEST_F(Report, ALossThatDoesNotFallIsSaid) {
  write_steps(200, 0.01, 0.01);
  EXPECT_NE(read_report(run_).advice.front().find("did not fall"), std::string::npos);
}

TEST_F(Report, HtmlIsSelfContainedEscapedAndWithoutPaths) {
  write_steps(60, 0.14, -0.1);
  const std::string html = as_html(read_report(run_));
  for (const char* outside : {"<script", "http://", "https://", "src=", "@import", "url("}) {
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  }
  EXPECT_NE(html.find("<path"), std::string::npos);
  EXPECT_NE(html.find("&lt;inter&gt;"), std::string::npos);
  EXPECT_EQ(html.find("<inter>"), std::string::npos);
  EXPECT_EQ(html.find("/home/someone"), std::string::npos);
}

TEST_F(Report, OneStepIsEnough) {
  write_steps(1, 0.5, 0);
  EXPECT_FALSE(as_html(read_report(run_)).empty());
}

TEST_F(Report, WhatIsNoRunIsRefusedWithARemedy) {
  for (const auto& folder : {run_ / "nowhere", run_}) {  // the second has no metrics yet
    try {
      read_report(folder);
      FAIL() << folder;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Data);
      EXPECT_FALSE(e.remedy().empty());
    }
  }
  std::ofstream(run_ / "metrics.jsonl") << "garbage\n";
  EXPECT_THROW(read_report(run_), Error);
}

TEST(RunFiles, AnEmptyFolderHasAnIdentityWithoutFacts) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("empty-run-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const RunIdentity id = read_identity(folder);
  EXPECT_EQ(id.name, folder.filename().string());
  EXPECT_EQ(id.config_hash, "");
  EXPECT_TRUE(read_settings(folder).empty());
  EXPECT_TRUE(list_checkpoints(folder).empty());
  std::ofstream(folder / "manifest.json") << "{half";
  EXPECT_EQ(read_identity(folder).world, 0);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace homolog::monitoring

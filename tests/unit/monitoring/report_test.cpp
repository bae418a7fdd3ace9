// The report of a run: figures, advice, a self-contained page, refusals.
#include "monitoring/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
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
      out << R"({"step":)" << step - 1 << R"(,"total":)" << 10 + loss_slope * step
          << R"(,"terms":{"<inter>":1,"intra":2},"seconds":1,"parts":{"data_wait":)" << wait
          << R"(,"forward":)" << 1 - wait << R"(},"pairs_per_s":8,"skipped":)"
          << (step == skipped_step_ ? "true" : "false") << "}\n";
    }
  }
  void write_exit(const char* json) {
    std::filesystem::create_directories(run_ / "exit");
    std::ofstream(run_ / "exit" / "rank-1.json") << json;
  }
  void complete() {  // what a run that has made its 60 steps leaves
    const auto folder = run_ / "checkpoints" / "step-00000060";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "manifest.json") << "{}";
  }
  int skipped_step_ = 3;
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
  EXPECT_NEAR(json["loss_first"].get<double>(), 9.65, 1e-9) << "mean of the first tenth";
  EXPECT_NEAR(json["loss_last"].get<double>(), 4.25, 1e-9);
  EXPECT_NE(as_text(report).find("waiting for data"), std::string::npos);
}

bool says(const RunReport& report, const std::string& words) {
  return std::any_of(report.advice.begin(), report.advice.end(),
                     [&](const auto& line) { return line.find(words) != std::string::npos; });
}

TEST_F(Report, AdviceNamesTheSettingAndItsValue) {
  write_steps(60, 0.14, -0.1);
  EXPECT_TRUE(says(read_report(run_),
                   "waiting for data is 14 % of the step: raise data.threads from 3 to 6"));
}

TEST_F(Report, ACompleteQuietRunGetsNoAlarm) {
  skipped_step_ = -1;
  write_steps(60, 0.01, -0.01);
  complete();
  const RunReport report = read_report(run_);
  EXPECT_EQ(report.advice, std::vector<std::string>{});
  EXPECT_EQ(report.end.message, "Complete: all 60 steps are made.");
  EXPECT_NE(as_text(report).find("nothing stands out"), std::string::npos);
  const std::string html = as_html(report);
  EXPECT_NE(html.find("class='advice quiet'"), std::string::npos);
  EXPECT_NE(html.find("data-state='ended'"), std::string::npos);
}

TEST_F(Report, ASkippedStepIsSaid) {
  write_steps(60, 0.01, -0.01);
  EXPECT_TRUE(says(read_report(run_), "1 step was skipped as not finite, the last at step 2"));
}

TEST_F(Report, ALossThatDoesNotFallIsSaid) {
  write_steps(60, 0.01, 0.01);
  EXPECT_TRUE(says(read_report(run_), "the loss did not fall"));
}

TEST_F(Report, ARunThatDiedNamesRankSignalLastLineAndTheWayOn) {
  write_steps(50, 0.01, -0.01);
  write_exit(R"({"rank":1,"host":"h","pid":7,"ended":true,"code":0,"signal":9,"stopped":false,)"
             R"("told_to":false,"ended_unix":5,"last_line":"reading /data/someone/scan"})");
  const RunReport report = read_report(run_);
  EXPECT_EQ(report.end.state, RunState::Failed);
  EXPECT_EQ(report.end.message,
            "Died after step 50 of 60: rank 1 was ended by signal 9 (Killed); its last line: "
            "reading /data/someone/scan.");
  EXPECT_TRUE(says(report, "go on from step 40 with --resume auto"));
  const auto json = as_json(report);
  EXPECT_EQ(json["end"]["signal"], 9);
  EXPECT_EQ(json["end"]["planned_steps"], 60);
  EXPECT_EQ(json["end"]["reached_steps"], 50);
  EXPECT_NE(as_html(report).find("signal 9"), std::string::npos);
  EXPECT_EQ(as_html(report).find("/data/someone"), std::string::npos);
}

TEST_F(Report, AnEndFromBeforeTheLastStartIsForgotten) {
  write_steps(60, 0.01, -0.01);
  complete();
  std::ofstream(run_ / "manifest.json") << R"({"started":"2026-11-23T13:30:44.500Z"})";
  const auto end_at = [&](const char* unix) {  // 1795440644 is 13:30:44
    write_exit((std::string(R"({"rank":1,"ended":true,"code":0,"signal":9,"told_to":false,)") +
                R"("last_line":"","ended_unix":)" + unix + "}")
                   .c_str());
    return read_report(run_).end.state;
  };
  EXPECT_EQ(end_at("1795440644.25"), RunState::Ended);
  EXPECT_EQ(end_at("1795440644.75"), RunState::Failed);
}

TEST_F(Report, AConstantThatDiffersByRoundingIsDrawnAsFlat) {
  write_steps(60, 0.14, -0.1);
  std::ofstream(run_ / "metrics.jsonl", std::ios::app)
      << R"({"step":61,"total":1,"lr":0.0003})"
      << "\n"
      << R"({"step":62,"total":1,"lr":0.00030000000000000003})"
      << "\n"
      << R"({"step":63,"total":1,"lr":0.00029999999999999995})"
      << "\n";
  const std::string html = as_html(read_report(run_));
  EXPECT_NE(html.find("<h2>Learning rate"), std::string::npos);
  EXPECT_LT(html.size(), 100'000u);
}

TEST_F(Report, PlannedStepsComeFromTheRunsStartWhereTheSettingCountsEpochs) {
  std::ofstream(run_ / "config.ini") << "[schedule]\nsteps=0\nepochs=3\n";
  std::ofstream(run_ / "log-0.jsonl") << R"({"event":"training","steps":90})"
                                      << "\n"
                                      << R"({"event":"stopped","step":7})"
                                      << "\n";
  write_steps(7, 0.01, -0.01);
  EXPECT_EQ(read_report(run_).planned, 90);
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
  EXPECT_NE(html.find("<tr title='data_wait'><td>waiting for data</td>"), std::string::npos);
  EXPECT_NE(html.find(">step</text>"), std::string::npos) << "the axis has a name";
}

TEST_F(Report, AccuracyIsNoLossTermAndNoTargetHasNoMomentum) {
  std::ofstream(run_ / "metrics.jsonl")
      << R"({"step":0,"total":1,"terms":{"acc":1,"fine":1},"ema":0.996})"
      << "\n"
      << R"({"step":1,"total":1,"terms":{"acc":0,"fine":1},"ema":0.997})"
      << "\n";
  EXPECT_EQ(as_html(read_report(run_)).find("EMA momentum"), std::string::npos);
  std::ofstream(run_ / "checkpoints" / "step-00000040" / "target.safetensors") << "x";
  const std::string html = as_html(read_report(run_));
  EXPECT_NE(html.find("EMA momentum"), std::string::npos);
  EXPECT_NE(html.find("<h2>Accuracy"), std::string::npos);
  EXPECT_EQ(html.find("</i>acc"), std::string::npos);
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

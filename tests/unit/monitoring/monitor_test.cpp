// The sidecar against real boards: it serves while workers live, sees them die, ends by itself.
#include "monitoring/monitor.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "base/error.h"

namespace homolog::monitoring {
namespace {

using board::Phase;

MonitorPlan plan_for(const std::filesystem::path& run) {
  MonitorPlan plan;
  plan.run = run;
  plan.port = 0;
  return plan;
}

class Sidecar : public testing::Test {
 protected:
  void SetUp() override {
    run_ = std::filesystem::temp_directory_path() / ("sidecar-" + std::to_string(getpid()));
    std::filesystem::create_directories(run_);
    std::ofstream(run_ / "metrics.jsonl") << R"({"step":1,"total":2.5,"terms":{"inter":1}})"
                                          << "\n";
  }
  void TearDown() override {
    board::remove_boards(run_.string(), 4);
    std::filesystem::remove_all(run_);
  }
  board::StepReport report(Phase phase, std::int64_t step) {
    board::StepReport r{};
    r.world = 1;
    r.phase = phase;
    r.step = step;
    r.total_steps = 100;
    r.started_unix = r.last_step_unix = unix_seconds();
    return r;
  }
  std::filesystem::path run_;
};

TEST_F(Sidecar, PageDataTellsBoardsAndCurves) {
  board::BoardWriter writer(run_.string(), 0);
  writer.publish(report(Phase::Train, 40));
  RunWatch watch(run_);
  watch.sample();
  auto table = routes(watch);
  const auto run = nlohmann::json::parse(table.at("/data/run.json")({}).body);
  EXPECT_EQ(run["state"], "running");
  EXPECT_EQ(run["progress"]["step"], 40);
  EXPECT_EQ(run["workers"].size(), 1u);
  const auto metrics = nlohmann::json::parse(table.at("/data/metrics.json")({}).body);
  EXPECT_EQ(metrics["rows"].size(), 1u);
  const auto nothing_new = nlohmann::json::parse(
      table.at("/data/metrics.json")({{"since", "1"}, {"generation", metrics["generation"].dump()}})
          .body);
  EXPECT_TRUE(nothing_new["rows"].empty());
  const auto all_again = nlohmann::json::parse(
      table.at("/data/metrics.json")({{"since", "1"}, {"generation", "-7"}}).body);
  EXPECT_EQ(all_again["rows"].size(), 1u);
  for (const char* file : {"/", "/page.js", "/chart.js", "/page.css", "/icon.svg"}) {
    EXPECT_FALSE(table.at(file)({}).body.empty()) << file;
  }
  EXPECT_NE(table.at("/metrics")({}).body.find("homolog_step 40"), std::string::npos);
}

TEST_F(Sidecar, SeesAWorkerThatDies) {
  const pid_t child = fork();
  if (child == 0) {
    board::BoardWriter writer(run_.string(), 1);
    writer.publish(report(Phase::Train, 7));
    for (;;) pause();
  }
  RunWatch watch(run_);
  while (watch.run_json()["workers"].empty()) std::this_thread::yield();
  EXPECT_EQ(watch.run_json()["state"], "running");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const auto after = watch.run_json();
  EXPECT_EQ(after["state"], "failed");
  EXPECT_EQ(after["message"], "The process of worker 1 died after step 7.");
}

TEST_F(Sidecar, ABoardOfAnotherVersionIsNoWorker) {
  board::BoardWriter writer(run_.string(), 0);
  writer.publish(report(Phase::Train, 7));
  const std::string file = "/dev/shm" + board::board_name(run_.string(), 0);
  std::fstream page(file, std::ios::in | std::ios::out | std::ios::binary);
  page.seekp(12);
  page.put(static_cast<char>(board::kBoardVersion + 1));
  page.close();
  EXPECT_TRUE(read_workers(run_.string()).empty());
}

TEST_F(Sidecar, EndsByItselfAfterTheRunAndLeavesNoBoardBehind) {
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  const pid_t child = fork();
  if (child == 0) {
    board::BoardWriter writer(run_.string(), 0);
    writer.publish(report(Phase::Train, 1));
    char byte;
    (void)!read(go[0], &byte, 1);  // until the sidecar serves
    writer.publish(report(Phase::Done, 2));
    _exit(0);
  }
  MonitorPlan plan = plan_for(run_);
  plan.workers = 1;
  plan.linger = 0.2;
  int port = 0;
  serve(
      plan, [] { return false; },
      [&](int p) {
        port = p;
        (void)!write(go[1], "x", 1);
        waitpid(child, nullptr, 0);
      });
  EXPECT_GT(port, 0);
  EXPECT_TRUE(board::local_boards(run_.string()).empty());
}

TEST_F(Sidecar, StopsAtOnceOnRequestAndLeavesLiveBoards) {
  board::BoardWriter writer(run_.string(), 0);
  writer.publish(report(Phase::Train, 1));
  std::atomic<bool> stop{false};
  serve(
      plan_for(run_), [&] { return stop.load(); }, [&](int) { stop = true; });
  EXPECT_EQ(board::local_boards(run_.string()).size(), 1u);
}

TEST_F(Sidecar, ABusyPortNamesPortAndRemedy) {
  const HttpServer first("127.0.0.1", 0, {});
  try {
    const HttpServer second("127.0.0.1", first.port(), {});
    FAIL() << "two servers on one port";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Environment);
    EXPECT_NE(e.summary().find(std::to_string(first.port())), std::string::npos);
    EXPECT_NE(e.remedy().find("--port"), std::string::npos);
  }
}

TEST_F(Sidecar, RefusesAMissingRunAndAWrongAddress) {
  const auto ready = [](int) {};
  const auto never = [] { return true; };
  try {
    serve(plan_for(run_ / "nowhere"), never, ready);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
  }
  for (const char* address : {"localhost", "203.0.113.7", "300.1.1.1"}) {
    try {
      MonitorPlan plan = plan_for(run_);
      plan.address = address;
      serve(plan, never, ready);
      FAIL() << address;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage) << address;
    }
  }
}

}  // namespace
}  // namespace homolog::monitoring

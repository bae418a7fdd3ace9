// Errors, progress, stop signal, clock, log: small parts with one promise each.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/cuda_fault.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/run_main.h"
#include "base/stop_signal.h"

namespace homolog {
namespace {

TEST(ErrorCodes, AreThePublishedOnes) {
  const std::pair<Fault, int> codes[] = {
      {Fault::Usage, 2},    {Fault::Data, 3},     {Fault::Environment, 4}, {Fault::Diverged, 5},
      {Fault::Replicas, 6}, {Fault::Stopped, 75}, {Fault::NoProgress, 93}};
  std::set<std::string> names;
  for (const auto& [fault, code] : codes) {
    EXPECT_EQ(exit_code(fault), code);
    EXPECT_TRUE(names.insert(fault_name(fault)).second);
  }
}

TEST(ErrorText, NamesWhatRemedyAndPlace) {
  const Error error(Fault::Data, "shard 3 is torn", "remove it");
  EXPECT_STREQ(error.what(), "shard 3 is torn\n  fix: remove it");
  EXPECT_EQ(error.summary(), "shard 3 is torn");
  EXPECT_TRUE(error.where().starts_with("small_parts_test.cpp:")) << error.where();
  EXPECT_STREQ(Error(Fault::Data, "x").what(), "x");
}

TEST(ErrorText, TellsWhichGpusCanTrainWhereAKernelIsRefused) {
  try {
    throw_cuda_fault("update kernel", "no kernel image is available");
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Environment);
    EXPECT_EQ(error.summary(),
              "the GPU refused a kernel (update kernel): no kernel image is available");
    EXPECT_NE(error.remedy().find("compute capability 8.0"), std::string::npos);
  }
}

TEST(RunMain, TurnsFaultsIntoExitCodes) {
  char name[] = "prog";
  char* argv[] = {name, nullptr};
  EXPECT_EQ(run_main(1, argv, "prog", [] { return 7; }), 7);
  testing::internal::CaptureStderr();
  EXPECT_EQ(run_main(1, argv, "prog", []() -> int { throw Error(Fault::Replicas, "odd", "look"); }),
            6);
  EXPECT_EQ(run_main(1, argv, "prog", []() -> int { throw std::bad_alloc(); }), 4);
  EXPECT_EQ(run_main(1, argv, "prog", []() -> int { throw std::runtime_error("library"); }), 4);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("prog: odd\n  fix: look\n"), std::string::npos) << text;
  EXPECT_NE(text.find("out of memory"), std::string::npos);
}

TEST(ProgressLine, TellsShareRateAndTimeLeft) {
  EXPECT_EQ(Progress::line("read", 50, 200, 10, "pairs"),
            "read: 50/200 pairs (25 %), 5/s, 30 s left");
  EXPECT_EQ(Progress::line("read", 200, 200, 10, "pairs"), "read: 200/200 pairs (100 %), 20/s");
  EXPECT_EQ(Progress::line("scan", 50, 0, 10, "files"), "scan: 50 files, 5/s") << "unknown total";
  EXPECT_EQ(Progress::line("read", 19240, 0, 1, "crops"), "read: 19240 crops, 19240/s")
      << "no exponent";
  EXPECT_EQ(Progress::line("read", 0, 10, 0, "pairs"), "read: 0/10 pairs (0 %), 0/s")
      << "no division by zero";
}

TEST(Progress, WritesPlainLinesWhereNoTerminalIs) {
  testing::internal::CaptureStderr();
  {
    Progress progress("embed", 3, "volumes");
    for (int i = 0; i < 3; ++i) progress.advance();
    progress.finish();
    progress.finish();
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_NE(text.find("embed: 3/3 volumes (100 %)"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << "the first and the last only\n"
                                                           << text;
}

TEST(Progress, IsSilentWhenNothingHappened) {
  testing::internal::CaptureStderr();
  { const Progress progress("embed", 3, "volumes"); }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(StopSignal, ASecondRequestComesASecondLaterRepeatsAreTheFirst) {
  listen_for_stop_signals();
  ASSERT_EQ(stop_signals_received(), 0);
  EXPECT_NO_THROW(stop_if_asked("nothing was written", "run it again"));
  raise(SIGUSR1);
  raise(SIGTERM);
  raise_stop_flag(SIGINT);
  EXPECT_EQ(stop_signals_received(), 1);
  EXPECT_EQ(last_stop_signal(), SIGINT);
  try {
    stop_if_asked("nothing was written", "run it again");
    ADD_FAILURE() << "a stop was asked for";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Stopped);
    EXPECT_EQ(e.summary(), "stopped on request; nothing was written");
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  raise(SIGTERM);
  EXPECT_EQ(stop_signals_received(), 2);
}

TEST(StopSignal, ABrokenPipeIsAnErrorNotADeath) {
  listen_for_stop_signals();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  EXPECT_EQ(write(ends[1], "x", 1), -1);
  close(ends[1]);
}

TEST(Clock, DurationsReadWell) {
  EXPECT_EQ(human_duration(0), "0 s");
  EXPECT_EQ(human_duration(42.4), "42 s");
  EXPECT_EQ(human_duration(59.7), "1 min 00 s");
  EXPECT_EQ(human_duration(185), "3 min 05 s");
  EXPECT_EQ(human_duration(7620), "2 h 07 min");
  EXPECT_EQ(human_duration(-5), "0 s");
  EXPECT_EQ(utc_timestamp().size(), std::string("2026-11-23T13:30:44.123Z").size());
}

TEST(Log, WritesJsonLinesWithTypedFields) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("log-" + std::to_string(getpid()) + "/deep/log.jsonl");
  log::set_terminal_level("off");
  log::open(file, 3);
  log::warn("an event", {{"count", 2}, {"ratio", 0.5}, {"ok", true}, {"name", "a\"b\xff"}});
  log::set_terminal_level("info");
  std::ifstream in(file);
  std::string line;
  ASSERT_TRUE(std::getline(in, line));
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["level"], "warn");
  EXPECT_EQ(json["rank"], 3);
  EXPECT_EQ(json["event"], "an event");
  EXPECT_EQ(json["count"], 2);
  EXPECT_EQ(json["ratio"], 0.5);
  EXPECT_EQ(json["ok"], true);
  std::filesystem::remove_all(file.parent_path().parent_path());
}

TEST(Log, TheTerminalShowsWholeNumbersWhole) {
  testing::internal::CaptureStderr();
  log::info("training", {{"parameters", 3776672}});
  EXPECT_NE(testing::internal::GetCapturedStderr().find("parameters=3776672"), std::string::npos);
}

}  // namespace
}  // namespace homolog

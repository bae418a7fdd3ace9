// The verdict over the workers, and the metrics made from them.
#include <gtest/gtest.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <cmath>
#include <cstring>
#include <set>
#include <sstream>

#include "monitoring/board_collector.h"
#include "monitoring/run_watch.h"

namespace homolog::monitoring {
namespace {

using board::Phase;
constexpr double kNow = 1000;

WorkerState worker(int rank, Phase phase, bool alive, double silent = 1) {
  WorkerState w{rank, alive, {}};
  w.report.rank = w.report.local_rank = rank;
  w.report.world = 2;
  w.report.phase = phase;
  w.report.step = 12;
  w.report.total_steps = 100;
  w.report.steps_total = 12;
  w.report.step_seconds = 0.5;
  w.report.last_step_unix = kNow - silent;
  w.report.term_count = 2;
  std::strcpy(w.report.terms[0].name, "total");
  std::strcpy(w.report.terms[1].name, "a\"b\\c");
  w.report.terms[1].value = NAN;
  return w;
}

const RunCourse kNothing = course_of({});
const RunCourse kLeft = {RunState::Ended, "Complete: all 9 steps are made.", {}};

struct Case {
  std::vector<WorkerState> workers;
  RunCourse left;
  RunState expected;
};

TEST(Judge, EveryCourseOfARunHasItsState) {
  const auto w = [](int rank, Phase phase, bool alive, double silent = 1) {
    return worker(rank, phase, alive, silent);
  };
  const Case cases[] = {
      {{}, kNothing, RunState::Waiting},
      {{}, kLeft, RunState::Ended},
      {{w(0, Phase::Init, true, 0), w(1, Phase::Init, true, 0)}, kNothing, RunState::Starting},
      {{w(0, Phase::Train, true), w(1, Phase::Train, true)}, kLeft, RunState::Running},
      {{w(0, Phase::Train, true), w(1, Phase::Train, true, 61)}, kLeft, RunState::Stalled},
      {{w(0, Phase::Save, true, 61), w(1, Phase::Save, true, 61)}, kLeft, RunState::Running},
      {{w(0, Phase::Stopping, true), w(1, Phase::Train, true)}, kLeft, RunState::Stopping},
      {{w(0, Phase::Stopping, false), w(1, Phase::Stopping, false)}, kLeft, RunState::Stopped},
      {{w(0, Phase::Done, false), w(1, Phase::Done, true)}, kLeft, RunState::Ended},
      {{w(0, Phase::Train, true), w(1, Phase::Train, false)}, kLeft, RunState::Failed},
      {{w(0, Phase::Train, true), w(1, Phase::Failed, true)}, kLeft, RunState::Failed},
  };
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const Verdict verdict = judge(cases[i].workers, kNow, cases[i].left);
    EXPECT_STREQ(state_name(verdict.state), state_name(cases[i].expected))
        << "case " << i << ": " << verdict.message;
    EXPECT_FALSE(verdict.message.empty());
  }
}

TEST(Judge, NamesTheWorkersThatDied) {
  const auto verdict =
      judge({worker(0, Phase::Train, true), worker(3, Phase::Train, false)}, kNow, kLeft);
  EXPECT_EQ(verdict.message, "The process of worker 3 died after step 12.");
}

TEST(Judge, SlowStepsAreNoStall) {
  auto slow = worker(0, Phase::Train, true, 100);
  slow.report.step_seconds = 30;
  EXPECT_EQ(judge({slow}, kNow, kLeft).state, RunState::Running);
}

TEST(Judge, AStoppedRunSaysWhere) {
  EXPECT_EQ(judge({worker(0, Phase::Stopping, false)}, kNow, kLeft).message,
            "Stopped at step 12 of 100; it can be resumed from its last checkpoint.");
}

std::string exposition(const std::vector<WorkerState>& workers) {
  RunIdentity identity;
  identity.name = "run \"1\"";
  return prometheus::TextSerializer().Serialize(families(workers, identity, kNow));
}

TEST(Collector, GlobalSeriesComeFromRankZeroAndLocalOnesFromAll) {
  const std::string text =
      exposition({worker(0, Phase::Train, true), worker(1, Phase::Train, true)});
  EXPECT_NE(text.find("homolog_world_size 2\n"), std::string::npos);
  EXPECT_NE(text.find("homolog_phase{phase=\"train\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("homolog_phase{phase=\"save\"} 0\n"), std::string::npos);
  EXPECT_NE(text.find("homolog_steps_total{rank=\"1\",local_rank=\"1\"} 12\n"), std::string::npos);
  const std::string other_node = exposition({worker(1, Phase::Train, true)});
  EXPECT_EQ(other_node.find("homolog_loss"), std::string::npos);
  EXPECT_NE(other_node.find("homolog_steps_total{rank=\"1\""), std::string::npos);
}

TEST(Collector, ADeadRankIsAbsentButForItsLastSign) {
  const std::string text =
      exposition({worker(0, Phase::Train, true), worker(1, Phase::Train, false)});
  EXPECT_NE(text.find("homolog_worker_up{rank=\"1\",local_rank=\"1\"} 0\n"), std::string::npos);
  EXPECT_NE(text.find("homolog_last_step_timestamp_seconds{rank=\"1\""), std::string::npos);
  EXPECT_EQ(text.find("homolog_steps_total{rank=\"1\""), std::string::npos);
}

// Each family once, with help and type before its samples; no series twice; labels escaped.
TEST(Collector, ExpositionIsWellFormed) {
  std::istringstream in(exposition({worker(0, Phase::Train, true), worker(1, Phase::Train, true)}));
  std::set<std::string> typed, series;
  std::string family;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string hash, kind, name;
    if (line.starts_with("#")) {
      words >> hash >> kind >> name;
      if (kind == "TYPE") {
        EXPECT_TRUE(typed.insert(name).second) << name;
      }
      family = name;
      continue;
    }
    EXPECT_EQ(line.compare(0, family.size(), family), 0) << line;
    EXPECT_TRUE(line[family.size()] == '{' || line[family.size()] == ' ') << line;
    EXPECT_TRUE(series.insert(line.substr(0, line.rfind(' '))).second) << line;
  }
  EXPECT_GT(typed.size(), 30u);
  EXPECT_TRUE(series.contains("homolog_loss{term=\"a\\\"b\\\\c\"}"));
}

TEST(Collector, CountersEndInTotalAndOnlyThey) {
  for (const auto& family : families({worker(0, Phase::Train, true)}, {}, kNow)) {
    EXPECT_EQ(family.type == prometheus::MetricType::Counter, family.name.ends_with("_total"))
        << family.name;
    EXPECT_FALSE(family.help.empty());
    EXPECT_TRUE(family.name.starts_with("homolog_"));
  }
}

}  // namespace
}  // namespace homolog::monitoring

// How far a run came and how it ended, from its folder alone: what is left to say when no worker of
// it runs here. Pure over what run_files.h reads, so that each course is a line of a test.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "monitoring/run_files.h"

namespace homolog::monitoring {

// What the run as a whole does. Waiting: no worker was seen yet. Ended: all planned steps are made.
// Stopped: ended on request, resumable. Failed: a worker died or gave up. Stalled: no step for
// long.
enum class RunState { Waiting, Starting, Running, Stalled, Stopping, Stopped, Ended, Failed };
const char* state_name(RunState state) noexcept;

struct RunTrace {
  std::int64_t reached = 0;      // steps made, by metrics.jsonl
  std::int64_t planned = -1;     // of the whole run; -1: unknown
  std::int64_t checkpoint = -1;  // step of the newest complete one; -1: none
  std::vector<WorkerEnd> ends = {};
  double silence = 0;              // s since metrics.jsonl last grew
  double step_seconds = 0;         // mean
  std::optional<bool> alive = {};  // a worker on this machine; empty: none was ever seen here
};

struct RunCourse {
  RunState state = RunState::Waiting;
  std::string message = {};             // one sentence for people
  std::optional<WorkerEnd> cause = {};  // the rank that died or gave up, when a record shows it
};
RunCourse course_of(const RunTrace& trace);

// "step 59 of 60"; without "of" when the plan is unknown.
std::string step_text(std::int64_t reached, std::int64_t planned);

}  // namespace homolog::monitoring

#include "monitoring/run_course.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "base/clock.h"

namespace homolog::monitoring {
namespace {

constexpr int kStoppedCode = 75, kNothingSavedCode = 93;  // exit-codes.md
constexpr double kQuietSeconds = 60, kQuietSteps = 20;    // a living run is not silent for longer

// A worker leaves with 93 at a second stop signal before its first checkpoint.
bool left_on_request(const WorkerEnd& end) {
  return end.ended && end.signal == 0 &&
         (end.code == kStoppedCode || end.code == kNothingSavedCode);
}

bool done(const WorkerEnd& end) { return end.ended && end.signal == 0 && end.code == 0; }

// As the launcher judges (verdict.h): reasons of one's own first, of the lowest rank, then the
// earliest of the others, which may only have noticed; a rank that was told to end is no cause.
std::tuple<bool, double, int> distance_to_cause(const WorkerEnd& e) {
  const bool own = e.signal == 0 && (e.code == 2 || e.code == 3 || e.code == 5 || e.code == 6);
  return {!own, own ? 0 : e.ended_unix, e.rank};
}

std::optional<WorkerEnd> cause_of(const std::vector<WorkerEnd>& ends) {
  std::optional<WorkerEnd> cause;
  for (const WorkerEnd& end : ends) {
    if (!end.ended || done(end) || left_on_request(end) || end.told_to) continue;
    if (!cause || distance_to_cause(end) < distance_to_cause(*cause)) cause = end;
  }
  return cause;
}

std::string end_text(const WorkerEnd& end) {
  std::string text = "rank " + std::to_string(end.rank);
  text += end.signal != 0 ? " was ended by signal " + std::to_string(end.signal) + " (" +
                                ::strsignal(end.signal) + ")"
                          : " ended with exit code " + std::to_string(end.code);
  return text;
}

std::string silent_ranks(const std::vector<WorkerEnd>& ends) {
  std::string text;
  for (const WorkerEnd& end : ends) {
    if (!end.ended) text += "; rank " + std::to_string(end.rank) + " left without a word";
  }
  return text;
}

bool all_ended(const RunTrace& t) {
  return !t.ends.empty() &&
         std::all_of(t.ends.begin(), t.ends.end(), [](const auto& e) { return e.ended; });
}

bool seems_alive(const RunTrace& t) {
  if (t.alive) return *t.alive;
  return !all_ended(t) && t.silence <= std::max(kQuietSeconds, kQuietSteps * t.step_seconds);
}

RunCourse died(const RunTrace& t, const std::optional<WorkerEnd>& cause) {
  std::string text = "Died after " + step_text(t.reached, t.planned) + ": ";
  if (cause) {
    text += end_text(*cause) + silent_ranks(t.ends);
    if (!cause->last_line.empty()) text += "; its last line: " + cause->last_line;
  } else {
    text += "it ended without a word (killed, or the machine went down)" + silent_ranks(t.ends);
  }
  return {RunState::Failed, text + ".", cause};
}

}  // namespace

const char* state_name(RunState state) noexcept {
  switch (state) {
    case RunState::Waiting:
      return "waiting";
    case RunState::Starting:
      return "starting";
    case RunState::Running:
      return "running";
    case RunState::Stalled:
      return "stalled";
    case RunState::Stopping:
      return "stopping";
    case RunState::Stopped:
      return "stopped";
    case RunState::Ended:
      return "ended";
    case RunState::Failed:
      return "failed";
  }
  return "unknown";
}

std::string step_text(std::int64_t reached, std::int64_t planned) {
  return "step " + std::to_string(reached) +
         (planned > 0 ? " of " + std::to_string(planned) : std::string());
}

RunCourse course_of(const RunTrace& t) {
  if (t.reached <= 0 && t.checkpoint < 0 && t.ends.empty() && !t.alive)
    return {RunState::Waiting, "Waiting for the first worker.", {}};
  const auto cause = cause_of(t.ends);
  if (cause) return died(t, cause);
  // A run that ends in order saves a checkpoint at the very step that it has reached.
  const bool saved = t.checkpoint >= 0 && t.checkpoint >= t.reached;
  if (saved && t.planned > 0 && t.reached >= t.planned)
    return {RunState::Ended, "Complete: all " + std::to_string(t.planned) + " steps are made.", {}};
  // No rank failed by itself, so who was told to end was told because the run was to stop.
  const bool on_request = std::any_of(t.ends.begin(), t.ends.end(), left_on_request) ||
                          (all_ended(t) && !std::all_of(t.ends.begin(), t.ends.end(), done));
  if (!(on_request && all_ended(t)) && seems_alive(t))
    return {RunState::Running, "Running, at " + step_text(t.reached, t.planned) + ".", {}};
  if (saved || on_request) {
    return {RunState::Stopped,
            "Stopped at " + step_text(t.reached, t.planned) +
                (t.checkpoint >= 0 ? "; it can be resumed from its last checkpoint."
                                   : " before its first checkpoint; nothing is saved."),
            {}};
  }
  return died(t, {});
}

}  // namespace homolog::monitoring

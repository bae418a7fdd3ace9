// The verdict over all workers: pure, so that each case is a line of a test.
#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "monitoring/run_watch.h"

namespace homolog::monitoring {
namespace {

using board::Phase;
constexpr double kStallSeconds = 60;  // at the least; otherwise 20 steps
constexpr double kStallSteps = 20;

std::string ranks_text(const std::vector<int>& ranks) {
  std::string text = ranks.size() == 1 ? "worker " : "workers ";
  for (std::size_t i = 0; i < std::min<std::size_t>(ranks.size(), 8); ++i) {
    text += (i ? ", " : "") + std::to_string(ranks[i]);
  }
  return text + (ranks.size() > 8 ? ", ..." : "");
}

std::vector<int> ranks_where(const std::vector<WorkerState>& workers, auto&& condition) {
  std::vector<int> ranks;
  for (const WorkerState& worker : workers) {
    if (condition(worker)) ranks.push_back(worker.rank);
  }
  return ranks;
}

bool in_phase(const std::vector<WorkerState>& workers, Phase phase) {
  return std::any_of(workers.begin(), workers.end(),
                     [=](const auto& w) { return w.report.phase == phase; });
}

Verdict judge_living(const std::vector<WorkerState>& workers, double now) {
  if (in_phase(workers, Phase::Stopping)) {
    return {RunState::Stopping, "Stopping on request: the workers save a checkpoint."};
  }
  double silence = -1, limit = kStallSeconds;
  for (const WorkerState& w : workers) {
    if (w.report.phase != Phase::Train || w.report.last_step_unix <= 0) continue;
    silence = std::max(silence, now - w.report.last_step_unix);
    limit = std::max(limit, kStallSteps * w.report.step_seconds);
  }
  if (silence > limit) return {RunState::Stalled, "No step for " + human_duration(silence) + "."};
  if (std::all_of(workers.begin(), workers.end(),
                  [](const auto& w) { return w.report.phase == Phase::Init; })) {
    return {RunState::Starting, "The workers are getting ready."};
  }
  return {RunState::Running, in_phase(workers, Phase::Save) ? "Saving a checkpoint."
                             : in_phase(workers, Phase::Validate)
                                 ? "Validating on the held-out pairs."
                                 : "Training."};
}

}  // namespace

bool all_over(const std::vector<WorkerState>& workers) {
  return std::all_of(workers.begin(), workers.end(), [](const WorkerState& w) {
    return !w.alive || w.report.phase == Phase::Done || w.report.phase == Phase::Failed;
  });
}

Verdict judge(const std::vector<WorkerState>& workers, double now, const RunCourse& left) {
  if (workers.empty()) return {left.state, left.message};
  const auto failed =
      ranks_where(workers, [](const auto& w) { return w.report.phase == Phase::Failed; });
  if (!failed.empty()) {
    return {RunState::Failed,
            "The run failed: " + ranks_text(failed) + " gave up. The log of the rank says why."};
  }
  const auto died = ranks_where(workers, [](const auto& w) {
    return !w.alive && w.report.phase != Phase::Done && w.report.phase != Phase::Stopping;
  });
  if (!died.empty()) {
    return {RunState::Failed, "The process of " + ranks_text(died) + " died after step " +
                                  std::to_string(workers.front().report.step) + "."};
  }
  if (!all_over(workers)) return judge_living(workers, now);
  if (in_phase(workers, Phase::Stopping)) {
    const board::StepReport& r = workers.front().report;
    return {RunState::Stopped, "Stopped at " + step_text(r.step, r.total_steps) +
                                   "; it can be resumed from its last checkpoint."};
  }
  return {RunState::Ended, "Complete: all " + std::to_string(workers.front().report.total_steps) +
                               " steps are made."};
}

}  // namespace homolog::monitoring

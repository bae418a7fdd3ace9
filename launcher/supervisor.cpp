#include "launcher/supervisor.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/own_host.h"
#include "base/step_folders.h"
#include "base/stop_signal.h"
#include "monitoring/board/board.h"

namespace homolog::launcher {
namespace {

// P4: 30 s from a rank's death to the end of all. mpirun needs one or two; srun up to KillWait.
constexpr double kFailureGrace = 22, kLeaveGrace = 5, kTerminateGrace = 5;
constexpr double kStartGrace = 60;        // s; no start of workers takes longer
constexpr double kBetweenRequests = 1.5;  // s; the workers take what comes within 1 s for the same

bool any_failed(const std::filesystem::path& run) {
  for (const ExitRecord& record : read_exit_records(run)) {
    if (record.failed()) return true;
  }
  return false;
}

// Keepers end their workers when mpirun is gone; a new world must not meet the old one.
void wait_until_gone(const std::vector<ExitRecord>& records) {
  const Stopwatch watch;
  for (const ExitRecord& record : records) {
    if (record.ended || record.pid <= 1 || record.host != own_host()) continue;
    while (::kill(record.pid, 0) == 0 && watch.seconds() < 10)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// Whole checkpoints, each with the time when it was completed: a resumed run may write a damaged
// one anew under its name.
std::map<std::int64_t, std::filesystem::file_time_type> whole_checkpoints(
    const std::filesystem::path& run) {
  std::map<std::int64_t, std::filesystem::file_time_type> found;
  for (const StepFolder& folder : step_folders(run / "checkpoints")) {
    std::error_code gone;
    const auto time = std::filesystem::last_write_time(folder.path / "manifest.json", gone);
    if (folder.complete && !gone) found[folder.step] = time;
  }
  return found;
}

}  // namespace

int Supervisor::run() {
  listen_for_stop_signals();
  RestartPolicy policy{.restarts = plan_.restarts};
  for (bool first = true, saved = false;; first = false) {
    const bool again = !first && (saved || !plan_.again_after_save);
    const Attempt attempt = this->attempt(again);
    saved = saved || attempt.progress;
    const Outcome outcome = explain(attempt);
    const Verdict verdict = judge(outcome, attempt, policy);
    if (verdict == Verdict::Restart) {
      policy.without_progress = attempt.progress ? 0 : policy.without_progress + 1;
      log::warn("starting again from the last checkpoint",
                {{"because", outcome.message},
                 {"step", attempt.step},
                 {"without_progress", policy.without_progress}});
      continue;
    }
    if (verdict == Verdict::Done) {
      if (outcome.code != 0) {
        log::info("stopped on request; the same command with --resume auto goes on",
                  {{"step", attempt.step}});
      }
      linger();
      stop_monitor();
      return outcome.code;
    }
    stop_monitor();  // at once: who waits for the launcher is to hear of the failure
    if (verdict == Verdict::NoProgress) {
      throw Error(Fault::NoProgress,
                  std::to_string(policy.restarts) +
                      " restarts in a row brought no new checkpoint; at last: " + outcome.message,
                  outcome.remedy);
    }
    throw Error(static_cast<Fault>(outcome.code), outcome.message, outcome.remedy);
  }
}

Attempt Supervisor::attempt(bool again) {
  Attempt attempt{.records = {}, .world = plan_.world, .starter = plan_.starter};
  const auto before = whole_checkpoints(plan_.run);
  remove_exit_records(plan_.run);
  failed_since_ = terminated_at_ = -1;
  start_monitor();
  Child workers(
      {.words = again ? plan_.workers_again : plan_.workers, .environment = plan_.environment});
  for (int round = 0; !workers.poll(); ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    pass_on_stop(workers);
    if (round % 10 == 0 && failed_since_ < 0 && any_failed(plan_.run))
      failed_since_ = unix_seconds();
    end_after_failure(workers);
    watch_monitor();
  }
  attempt.starter_code = shell_code(*workers.poll());
  attempt.records = read_exit_records(plan_.run);
  wait_until_gone(attempt.records);
  attempt.stop_requested = stop_signals_received() > 0;
  for (const auto& checkpoint : whole_checkpoints(plan_.run)) {
    attempt.step = checkpoint.first;
    attempt.progress =
        attempt.progress || std::find(before.begin(), before.end(), checkpoint) == before.end();
  }
  return attempt;
}

void Supervisor::pass_on_stop(Child& workers) {
  if (passed_on_ == 2 || stop_signals_received() <= passed_on_) return;
  if (passed_on_ == 1 && unix_seconds() - asked_since_ < kBetweenRequests) return;
  // A starter that is still starting hands a signal to nobody: wait for every keeper's record.
  if (stop_seen_at_ < 0) stop_seen_at_ = unix_seconds();
  if (static_cast<int>(read_exit_records(plan_.run).size()) < plan_.world &&
      unix_seconds() - stop_seen_at_ < kStartGrace)
    return;
  ++passed_on_;
  asked_since_ = unix_seconds();
  log::info(passed_on_ == 1
                ? "asking the workers to save and stop; a second signal leaves without saving"
                : "asking the workers to leave at once");
  // mpirun and srun hand SIGUSR1 to every rank, but answer SIGTERM by killing them.
  if (plan_.starter == "mpirun" || plan_.starter == "srun")
    workers.signal(SIGUSR1);
  else
    workers.signal_group(SIGUSR1);
  if (passed_on_ == 2) leave_since_ = asked_since_;
}

void Supervisor::end_after_failure(Child& workers) {
  const double now = unix_seconds();
  const bool late = (failed_since_ > 0 && now - failed_since_ > kFailureGrace) ||
                    (leave_since_ > 0 && now - leave_since_ > kLeaveGrace);
  if (!late) return;
  if (terminated_at_ < 0) {
    terminated_at_ = now;
    workers.signal_group(SIGTERM);
  } else if (now - terminated_at_ > kTerminateGrace) {
    workers.signal_group(SIGKILL);
  }
}

void Supervisor::start_monitor() {
  if (plan_.monitor.empty() || monitor_) return;
  try {
    monitor_ = std::make_unique<Child>(ChildPlan{.words = plan_.monitor});
  } catch (const Error& e) {
    log::warn("no monitor: training goes on without it", {{"because", e.summary()}});
    plan_.monitor.clear();
  }
}

void Supervisor::watch_monitor() {
  if (!monitor_) return;
  const auto status = monitor_->poll();
  if (!status) return;
  if (*status != 0) {
    log::warn(
        "the monitor ended: training goes on without it; metrics.jsonl is written all the same",
        {{"exit_code", shell_code(*status)}});
    plan_.monitor.clear();  // P7: one warning, no second try
  }
  monitor_.reset();
}

void Supervisor::linger() {
  if (monitor_ && plan_.linger != 0 && stop_signals_received() == 0)
    log::info("the workers are done; monitor.linger keeps the page", {{"linger", plan_.linger}});
  const Stopwatch watch;  // ours, because a monitor that saw no worker still waits for one
  while (monitor_ && (plan_.linger < 0 || watch.seconds() < plan_.linger) &&
         stop_signals_received() == 0 && !monitor_->wait_for(0.1)) {
  }
}

void Supervisor::stop_monitor() {
  if (monitor_) {
    monitor_->signal(SIGTERM);
    monitor_->wait_for(5);
    monitor_.reset();
  }
  board::remove_dead_boards(plan_.run.string());  // without a monitor nobody else does
}

}  // namespace homolog::launcher

#include "launcher/supervisor.h"

#include <charconv>
#include <chrono>
#include <csignal>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "cluster/topology/hosts.h"

namespace homolog::launcher {
namespace {

// P4: 30 s from a rank's death to the end of all. mpirun needs one or two; srun up to KillWait.
constexpr double kFailureGrace = 22, kLeaveGrace = 5, kTerminateGrace = 5;
constexpr double kSameRequest = 1;  // s

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
    if (record.ended || record.pid <= 1 || record.host != topology::own_host()) continue;
    while (::kill(record.pid, 0) == 0 && watch.seconds() < 10)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

std::int64_t newest_checkpoint_step(const std::filesystem::path& run) {
  std::int64_t newest = -1;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(run / "checkpoints", code)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = -1;
    if (!name.starts_with("step-")) continue;
    const auto [end, bad] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
    if (bad == std::errc() && end == name.data() + name.size()) newest = std::max(newest, step);
  }
  return newest;
}

int Supervisor::run() {
  listen_for_stop_signals();
  RestartPolicy policy{.restarts = plan_.restarts};
  for (bool first = true;; first = false) {
    const Attempt attempt = this->attempt(first);
    const Outcome outcome = explain(attempt);
    const Verdict verdict = judge(outcome, attempt, policy);
    if (verdict == Verdict::Restart) {
      policy.without_progress =
          attempt.step_after > attempt.step_before ? 0 : policy.without_progress + 1;
      log::warn("starting again from the last checkpoint",
                {{"because", outcome.message},
                 {"step", attempt.step_after},
                 {"without_progress", policy.without_progress}});
      continue;
    }
    stop_monitor();
    if (outcome.code == 0) return 0;
    if (verdict == Verdict::Done) {
      log::info("stopped on request; the same command with --resume auto goes on",
                {{"step", attempt.step_after}});
      return outcome.code;
    }
    if (verdict == Verdict::NoProgress) {
      throw Error(Fault::NoProgress,
                  std::to_string(policy.restarts) +
                      " restarts in a row brought no new checkpoint; at last: " + outcome.message,
                  outcome.remedy);
    }
    throw Error(static_cast<Fault>(outcome.code), outcome.message, outcome.remedy);
  }
}

Attempt Supervisor::attempt(bool first) {
  Attempt attempt{.records = {}, .world = plan_.world, .starter = plan_.starter};
  attempt.step_before = newest_checkpoint_step(plan_.run);
  remove_exit_records(plan_.run);
  failed_since_ = terminated_at_ = -1;
  start_monitor();
  Child workers(
      {.words = first ? plan_.workers : plan_.workers_again, .environment = plan_.environment});
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
  attempt.step_after = newest_checkpoint_step(plan_.run);
  return attempt;
}

void Supervisor::pass_on_stop(Child& workers) {
  // A terminal, `timeout` or a script may deliver one request twice; people take longer than that.
  if (passed_on_ == 1 && unix_seconds() - asked_since_ < kSameRequest)
    heard_ = stop_signals_received();
  if (stop_signals_received() <= heard_) return;
  heard_ = stop_signals_received();
  if (passed_on_ < 2) {
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
    if (passed_on_ == 2) leave_since_ = unix_seconds();
  }
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

void Supervisor::stop_monitor() {
  if (!monitor_) return;
  monitor_->signal(SIGTERM);
  monitor_->wait_for(5);
  monitor_.reset();
}

}  // namespace homolog::launcher

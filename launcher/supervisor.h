// Starts the workers and the monitor, follows them, stops them when asked, and starts them again
// where that can help. Decisions are verdict.h's; this holds the processes.
#pragma once

#include <memory>
#include <string>

#include "launcher/launch_plan.h"
#include "launcher/process.h"
#include "launcher/verdict.h"

namespace homolog::launcher {

class Supervisor {
 public:
  explicit Supervisor(LaunchPlan plan) : plan_(std::move(plan)) {}
  // Listens to stop signals: the first asks the workers to save and stop, the second to leave at
  // once. Returns 0 or 75. Throws Error with the workers' fault, naming the rank that caused it.
  int run();

 private:
  Attempt attempt(bool again);
  void pass_on_stop(Child& workers);
  void end_after_failure(Child& workers);
  void start_monitor();
  void watch_monitor();
  void linger();
  void stop_monitor();

  LaunchPlan plan_;
  std::unique_ptr<Child> monitor_;
  int passed_on_ = 0;          // requests to stop handed to the workers
  double asked_since_ = -1;    // s since 1970 of the last request
  double stop_seen_at_ = -1;   // s since 1970 of the first stop signal
  double leave_since_ = -1;    // of the second request
  double failed_since_ = -1;   // of the first rank's failure
  double terminated_at_ = -1;  // of our SIGTERM
};

}  // namespace homolog::launcher

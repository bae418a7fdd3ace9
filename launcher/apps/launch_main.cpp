// homolog-launch: reads the request, looks at the machine, and hands the plan to the supervisor.
// `--as-worker RUN -- PROGRAM…` is how mpirun and srun call it back, as the keeper of one worker.
#include <cstdio>

#include "base/error.h"
#include "base/run_lock.h"
#include "base/run_main.h"
#include "base/stop_signal.h"
#include "launcher/keeper.h"
#include "launcher/launch_plan.h"
#include "launcher/machine.h"
#include "launcher/process.h"
#include "launcher/supervisor.h"
#include "monitoring/board/board.h"

namespace {

using namespace homolog;

void print_plan(const launcher::LaunchPlan& plan) {
  std::string setting;
  for (const auto& [name, value] : plan.environment) setting += name + "=" + value + " ";
  std::printf("# run %s, %d workers\n", plan.run.c_str(), plan.world);
  std::string workers = launcher::shell_line(plan.workers);
  std::printf("%s%s\n", setting.c_str(), workers.c_str());
  if (!plan.monitor.empty()) std::printf("%s\n", launcher::shell_line(plan.monitor).c_str());
}

// The worker says what is wrong. Nothing is made or begun until its settings are good.
int check_settings(const launcher::LaunchPlan& plan) {
  if (plan.check.empty()) return 0;
  launcher::Child child({.words = plan.check});
  while (!child.wait_for(60)) {
  }
  return launcher::shell_code(*child.poll());
}

int launch(int argc, char** argv) {
  launcher::LaunchRequest request;
  Options options(
      "homolog launch", "--config FILE [--run DIR] [--workers N] [--set section.key=value ...]",
      "Starts the workers of a run and one monitor a node, follows them, stops them cleanly on "
      "Ctrl-C\n"
      "(checkpoint, exit code 75), and names the rank that failed. mpirun starts the workers; "
      "inside a\n"
      "SLURM allocation srun does. All other settings are the workers': see homolog train --help.");
  launcher::declare(options, request);
  options.leave_to_others(launcher::foreign_sections({argv + 1, argv + argc}));
  if (!options.parse(argc, argv)) return 0;
  const auto plan = launcher::plan_launch(request, options.config_arguments(),
                                          launcher::look_at_machine(request));
  if (request.dry_run) {
    print_plan(plan);
    return 0;
  }
  listen_for_stop_signals();
  if (const int code = check_settings(plan); code != 0) return code;
  const RunLock lock(plan.run, RunLock::kLauncher, 0);
  RunLock::require_free(plan.run, RunLock::kTrainer);
  board::remove_dead_boards();
  return launcher::Supervisor(plan).run();
}

int keep(int argc, char** argv) {
  if (argc < 5 || std::string(argv[3]) != "--") {
    throw Error(Fault::Usage, "homolog-launch --as-worker RUN -- PROGRAM...: a word is missing");
  }
  return launcher::keep_worker(argv[2], {argv + 4, argv + argc});
}

}  // namespace

int main(int argc, char** argv) {
  const bool keeper = argc > 1 && std::string(argv[1]) == "--as-worker";
  return run_main(argc, argv, "homolog-launch",
                  [&] { return keeper ? keep(argc, argv) : launch(argc, argv); });
}

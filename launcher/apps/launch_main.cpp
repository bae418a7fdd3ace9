// homolog-launch: reads the request, looks at the machine, and hands the plan to the supervisor.
// `--as-worker RUN -- PROGRAM…` is how mpirun and srun call it back, as the keeper of one worker.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/run_lock.h"
#include "base/run_main.h"
#include "base/stop_signal.h"
#include "launcher/keeper.h"
#include "launcher/launch_plan.h"
#include "launcher/process.h"
#include "launcher/supervisor.h"
#include "monitoring/board/board.h"

namespace {

namespace fs = std::filesystem;
using namespace homolog;

int count_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

int count_gpus() {
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) {
    const std::string text = visible;
    return text.empty() || text == "-1"
               ? 0
               : 1 + static_cast<int>(std::count(text.begin(), text.end(), ','));
  }
  std::error_code code;
  const fs::directory_iterator gpus("/proc/driver/nvidia/gpus", code);
  return code ? 0 : static_cast<int>(std::distance(fs::begin(gpus), fs::end(gpus)));
}

launcher::Machine look_at_machine(const launcher::LaunchRequest& request) {
  launcher::Machine machine{
      .programs = fs::read_symlink("/proc/self/exe").parent_path(),
      .cores = count_cores(),
      .gpus = count_gpus(),
      .root = ::geteuid() == 0,
      .omp_threads_set = std::getenv("OMP_NUM_THREADS") != nullptr,
      .allocation = topology::read_allocation(topology::process_environment()),
      .hosts = {}};
  if (!request.hostfile.empty()) {
    std::ifstream in(request.hostfile);
    if (!in)
      throw Error(Fault::Usage, "--hostfile " + request.hostfile.string() + " cannot be read",
                  "give an existing file with a line NAME slots=N for each host");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    machine.hosts = topology::parse_host_file(text, request.hostfile.string());
  }
  return machine;
}

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
  const auto plan =
      launcher::plan_launch(request, options.config_arguments(), look_at_machine(request));
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

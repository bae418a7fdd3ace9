#include "launcher/own_world.h"

#include <csignal>
#include <cstdlib>

#include "base/clock.h"
#include "base/error.h"
#include "base/stop_signal.h"
#include "launcher/machine.h"
#include "launcher/process.h"

namespace homolog::launcher {
namespace {

constexpr const char* kMark = "HOMOLOG_OWN_WORLD";  // stands in the environment of the ranks

bool is_rank(const LaunchRequest& request) {
  const auto environment = topology::process_environment();
  if (environment(kMark)) return true;
  const topology::Place place = topology::read_place(environment);
  const bool step = environment("SLURM_STEP_ID").has_value();
  if (place.starter == topology::Starter::Nobody && !step) return false;
  if (request.workers > 0 && request.workers != place.size)
    throw Error(Fault::Usage,
                "--workers " + std::to_string(request.workers) + " in a world of " +
                    std::to_string(place.size),
                "leave --workers to mpirun or srun, or start without them");
  return true;
}

// Until it has ended, by itself or because we were told to stop.
int wait_for_end(Child& child, double most_seconds) {
  constexpr double kPatience = 5;
  const Stopwatch since;
  double told = -1;
  while (!child.wait_for(0.1)) {
    const bool asked = stop_signals_received() > 0;
    if (told < 0 && (asked || since.seconds() > most_seconds)) {
      child.signal(SIGTERM);  // mpirun and srun end their ranks
      told = since.seconds();
    } else if (told >= 0 && since.seconds() - told > kPatience) {
      child.signal_group(SIGKILL);
    }
  }
  stop_if_asked("the ranks were ended", "run the same command again");
  if (told >= 0)
    throw Error(
        Fault::Environment,
        "the ranks had not ended after " + human_duration(most_seconds) + " and were killed",
        "the last lines above say how far they came");
  const int code = shell_code(*child.poll());
  return code < 128 ? code : exit_code(Fault::Environment);
}

}  // namespace

void declare_world(Options& options, LaunchRequest& request) {
  options.add("workers", request.workers,
              "ranks to start; 0: the allocation's tasks, the host file's slots, one a GPU, else "
              "one; under mpirun or srun those are the ranks",
              {.min = 0, .max = 65536});
  options.add("hostfile", request.hostfile, "hosts for mpirun, a line each: NAME slots=N");
  options.add("srun-mpi", request.srun_mpi, "plug-in by which srun connects the ranks");
}

std::optional<int> run_as_world(const LaunchRequest& request, const std::vector<std::string>& words,
                                double most_seconds) {
  if (is_rank(request)) return std::nullopt;
  const Machine machine = look_at_machine(request);
  WorldStart start = plan_start(request, machine);
  if (start.starter.empty()) return std::nullopt;
  start.environment[kMark] = "1";
  ChildPlan plan{.words = start.words, .environment = start.environment};
  plan.words.push_back(std::filesystem::read_symlink("/proc/self/exe"));
  plan.words.insert(plan.words.end(), words.begin(), words.end());
  listen_for_stop_signals();
  Child child(plan);
  return wait_for_end(child, most_seconds);
}

}  // namespace homolog::launcher

// From the user's request and what the machine offers to the exact commands that will run. Pure, so
// that `--dry-run` and the tests see what a launch would do.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "cluster/topology/environment.h"

namespace homolog::launcher {

struct MonitorPlan {
  bool enabled = true;
  int port = 9400;
  std::string address = "127.0.0.1";
  double linger = 0;  // s that it stays after the run; negative: until a signal
  double wait = 900;  // s for the first worker
};

struct LaunchRequest {
  std::filesystem::path run;       // --run; "": runs/NAME of the last --config file
  int workers = 0;                 // --workers; 0: as many as the allocation or the GPUs say
  std::filesystem::path hostfile;  // --hostfile
  int restarts = 0;                // --restarts
  std::string srun_mpi = "pmix";   // --srun-mpi
  bool dry_run = false;            // --dry-run
  std::string worker_program;      // --worker-program: a program and its first words
  // Handed on to the worker.
  std::string resume = "auto", device;
  std::filesystem::path from;
  bool overwrite = false;
  std::int64_t max_steps_this_run = 0;
  MonitorPlan monitor;
};
void declare(Options& options, LaunchRequest& request);

// Sections of the config files and of --set that are not the launcher's own: they belong to the
// worker, which checks them, so that the launcher need not know any objective or backbone.
std::vector<std::string> foreign_sections(const std::vector<std::string>& words);

struct Machine {
  std::filesystem::path programs;  // folder of homolog-launch and its siblings
  int cores = 1, gpus = 0;
  bool root = false;
  bool omp_threads_set = false;  // the user's OMP_NUM_THREADS stands
  std::optional<topology::Allocation> allocation;
  std::vector<topology::Host> hosts;  // of --hostfile
};

// How a program is started as a world of several.
struct WorldStart {
  int world = 1;
  std::string starter;                             // "mpirun", "srun"; "": alone, as it is
  std::vector<std::string> words;                  // to stand before the program and its words
  std::map<std::string, std::string> environment;  // added to ours: OMP_NUM_THREADS
};
// Looks at request.workers, hostfile and srun_mpi alone.
WorldStart plan_start(const LaunchRequest& request, const Machine& machine);

struct LaunchPlan {
  std::filesystem::path run;
  int world = 1;
  std::string starter;                     // "mpirun", "srun", or "homolog-train" alone
  std::vector<std::string> workers;        // the command
  std::vector<std::string> workers_again;  // the one for a restart: always resumes
  bool again_after_save = false;  // not before this launch has saved: --from and --overwrite would
                                  // be forgotten by workers that died before they obeyed
  std::vector<std::string> monitor;  // empty: none
  double linger = 0;                 // s that the monitor stays after the run
  std::vector<std::string> check;    // checks the settings, then ends; empty: a worker of your own
  std::map<std::string, std::string> environment;  // added for both
  int restarts = 0;
};

// `config_arguments` as Options::config_arguments() gives them. Throws Fault::Usage.
LaunchPlan plan_launch(const LaunchRequest& request,
                       const std::vector<std::string>& config_arguments, const Machine& machine);

// One line that a shell would take.
std::string shell_line(const std::vector<std::string>& words);

}  // namespace homolog::launcher

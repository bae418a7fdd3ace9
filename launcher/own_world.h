// For commands that measure rather than train (doctor, bench): the program starts itself as a world
// of several, with the words that a launch would use.
#pragma once

#include <optional>

#include "launcher/launch_plan.h"

namespace homolog::launcher {

// Declares --workers, --hostfile and --srun-mpi.
void declare_world(Options& options, LaunchRequest& request);

// Starts this program (/proc/self/exe) with `words` through mpirun, or srun in an allocation, and
// waits for it: the exit code. nullopt: this process is itself a rank (started by mpirun, srun
// or this function), or is to measure alone. After `most_seconds` the world is ended by force.
// Throws Fault::Usage (--workers in a world of another size), Fault::Environment.
std::optional<int> run_as_world(const LaunchRequest& request, const std::vector<std::string>& words,
                                double most_seconds);

}  // namespace homolog::launcher

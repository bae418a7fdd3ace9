// What started this process, and what a SLURM allocation offers: read from environment variables.
// The variables come through a function, so that every case is a row in a table of tests.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/topology/hosts.h"

namespace homolog::topology {

// nullopt when the variable is not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment process_environment();

enum class Starter {
  Nobody,           // started by hand: a world of one
  Mpirun,           // Open MPI's mpirun, or prterun
  SrunPmix,         // srun --mpi=pmix…
  SrunWithoutPmix,  // srun with several tasks that MPI cannot join: MPI_Init would hang or make one
                    // world per task
  ByHand,           // HOMOLOG_RANK and HOMOLOG_WORLD, or what torchrun sets: RANK, WORLD_SIZE,
                    // MASTER_ADDR and MASTER_PORT, all four
};

struct Place {
  Starter starter = Starter::Nobody;
  int index = 0, size = 1;         // as the starter says, before any connection
  std::optional<int> local_index;  // on this host, where the starter says it
};
// Throws Fault::Environment naming the variable that is missing, no number, or out of range.
Place read_place(const Environment& environment);

// What to tell the user who wants MPI and used srun without PMIx.
std::string pmix_remedy();

struct Allocation {
  std::string job;
  std::vector<Host> hosts;  // slots: tasks per node
  int tasks = 1;            // SLURM_NTASKS, else the sum of slots
  std::optional<int> cores_per_task;
  std::optional<int> restarts;  // SLURM_RESTART_COUNT
};
// nullopt outside SLURM. Throws Fault::Environment naming the variable that cannot be read.
std::optional<Allocation> read_allocation(const Environment& environment);

}  // namespace homolog::topology

#include "cluster/topology/environment.h"

#include <charconv>
#include <cstdlib>
#include <numeric>

#include "base/error.h"

namespace homolog::topology {
namespace {

std::optional<int> number(const Environment& environment, const char* name) {
  const auto text = environment(name);
  if (!text) return std::nullopt;
  int value = 0;
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (code != std::errc() || end != text->data() + text->size()) {
    throw Error(Fault::Environment, std::string(name) + " = '" + *text + "' is not a whole number",
                "start from a fresh shell or allocation");
  }
  return value;
}

Place place_by_hand(const Environment& environment, const char* rank, const char* world,
                    const char* local) {
  const auto index = number(environment, rank), size = number(environment, world);
  if (!index || !size) {
    throw Error(
        Fault::Environment,
        std::string(index ? rank : world) + " is set, " + (index ? world : rank) + " is not",
        "set both for each worker, ranks from 0, or neither");
  }
  if (*size < 1 || *index < 0 || *index >= *size) {
    throw Error(Fault::Environment,
                std::string(rank) + " = " + std::to_string(*index) + " is no rank of a world of " +
                    std::to_string(*size) + " (" + world + ")",
                "ranks count from 0 to one less than the number of workers");
  }
  return {Starter::ByHand, *index, *size, number(environment, local)};
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

Place read_place(const Environment& environment) {
  // mpirun inside an allocation inherits SLURM's variables, so it is asked first.
  if (const auto size = number(environment, "OMPI_COMM_WORLD_SIZE")) {
    return {Starter::Mpirun, number(environment, "OMPI_COMM_WORLD_RANK").value_or(0), *size,
            number(environment, "OMPI_COMM_WORLD_LOCAL_RANK")};
  }
  if (environment("HOMOLOG_RANK") || environment("HOMOLOG_WORLD"))
    return place_by_hand(environment, "HOMOLOG_RANK", "HOMOLOG_WORLD", "HOMOLOG_LOCAL_RANK");
  // A batch script has SLURM_PROCID too; only a step started by srun has these two.
  const auto tasks = number(environment, "SLURM_STEP_NUM_TASKS");
  if (tasks && environment("SLURM_STEP_ID")) {
    const int index = number(environment, "SLURM_PROCID").value_or(0);
    const auto local = number(environment, "SLURM_LOCALID");
    if (environment("PMIX_RANK")) return {Starter::SrunPmix, index, *tasks, local};
    if (*tasks > 1) return {Starter::SrunWithoutPmix, index, *tasks, local};
  }
  // Fewer than all four may be some other program's.
  if (environment("RANK") && environment("WORLD_SIZE") && environment("MASTER_ADDR") &&
      environment("MASTER_PORT"))
    return place_by_hand(environment, "RANK", "WORLD_SIZE", "LOCAL_RANK");
  return {};
}

std::string pmix_remedy() {
  return "start with `srun --mpi=pmix` (`srun --mpi=list` shows what this SLURM has: pmix, "
         "pmix_v4, pmix_v3), "
         "start with `homolog launch` or mpirun inside the allocation, or join the tasks without "
         "MPI: cluster.bootstrap = tcp or file";
}

std::optional<Allocation> read_allocation(const Environment& environment) {
  const auto job = environment("SLURM_JOB_ID");
  if (!job) return std::nullopt;
  Allocation allocation;
  allocation.job = *job;
  auto list = environment("SLURM_JOB_NODELIST");
  if (!list) list = environment("SLURM_NODELIST");
  if (!list) {
    throw Error(Fault::Environment, "SLURM_JOB_ID is set but SLURM_JOB_NODELIST is not",
                "unset SLURM_JOB_ID to run outside the allocation");
  }
  for (const std::string& name : expand_host_list(*list)) allocation.hosts.push_back({name, 1});
  if (const auto counts = environment("SLURM_TASKS_PER_NODE")) {
    const std::vector<int> tasks = expand_task_counts(*counts);
    if (tasks.size() != allocation.hosts.size()) {
      throw Error(Fault::Environment, "SLURM_TASKS_PER_NODE = '" + *counts + "' names " +
                                          std::to_string(tasks.size()) +
                                          " nodes, SLURM_JOB_NODELIST = '" + *list + "' names " +
                                          std::to_string(allocation.hosts.size()));
    }
    for (std::size_t i = 0; i < tasks.size(); ++i) allocation.hosts[i].slots = tasks[i];
  }
  allocation.tasks =
      number(environment, "SLURM_NTASKS")
          .value_or(std::accumulate(allocation.hosts.begin(), allocation.hosts.end(), 0,
                                    [](int sum, const Host& h) { return sum + h.slots; }));
  allocation.cores_per_task = number(environment, "SLURM_CPUS_PER_TASK");
  allocation.restarts = number(environment, "SLURM_RESTART_COUNT");
  return allocation;
}

}  // namespace homolog::topology

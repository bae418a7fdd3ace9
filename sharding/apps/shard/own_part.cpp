#include "sharding/apps/shard/own_part.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace homolog {
namespace {

// Within these bounds SAM's network gives the same bits for any number of threads: alone, oneDNN
// computes 1x1x1 convolutions another way; with very many, those of small volumes.
constexpr int kFewestThreads = 2, kMostThreads = 16;

int positive(const topology::Environment& environment, const char* name) {
  const auto text = environment(name);
  return text ? std::atoi(text->c_str()) : 0;
}

// Processes that the starter put on this host; 1 where it does not say.
int neighbours(const topology::Environment& environment) {
  return std::max({1, positive(environment, "OMPI_COMM_WORLD_LOCAL_SIZE"),
                   positive(environment, "MPI_LOCALNRANKS")});
}

int allowed_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

shard::Part own_part(const std::string& given, const topology::Environment& environment) {
  if (!given.empty()) return shard::part_named(given);
  const topology::Place place = topology::read_place(environment);
  if (place.size > 1)
    return {static_cast<std::size_t>(place.index), static_cast<std::size_t>(place.size)};
  const auto rank = environment("PMI_RANK"), size = environment("PMI_SIZE");  // Hydra's mpiexec
  return rank && size ? shard::part_named(*rank + "/" + *size) : shard::Part{};
}

int threads_each(std::size_t workers, const topology::Environment& environment) {
  int threads = positive(environment, "OMP_NUM_THREADS");
  if (threads <= 0) {
    const int online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
    const int cores = std::min(allowed_cores(), online / neighbours(environment));
    threads = cores / static_cast<int>(workers);
  }
  return std::clamp(threads, kFewestThreads, kMostThreads);
}

}  // namespace homolog

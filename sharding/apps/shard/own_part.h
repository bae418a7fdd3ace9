// This process among those that were started for one store: by --part, mpirun, srun, or alone.
#pragma once

#include <string>

#include "cluster/topology/environment.h"
#include "sharding/build_part.h"

namespace homolog {

// `given`: what --part says, or empty. Throws Fault::Usage, Fault::Environment.
shard::Part own_part(const std::string& given, const topology::Environment& environment);

// Threads for each of `workers` processes on this host, beside the others that a starter put here:
// cores are shared, OMP_NUM_THREADS wins. 2 to 16, so that the store is the same for any of them.
int threads_each(std::size_t workers, const topology::Environment& environment);

}  // namespace homolog

// Stands in for nccl.cpp in builds without CUDA: there is never a GPU, and asking for NCCL is
// refused.
#include "base/error.h"
#include "cluster/comm/backends.h"

namespace homolog::comm {

std::string gpu_identity(const topology::Rank&) { return ""; }

std::unique_ptr<Communicator> make_nccl(const CommPlan&, std::unique_ptr<Communicator>) {
  throw Error(Fault::Environment, "cluster.backend = nccl: this build has no CUDA and no NCCL",
              "use cluster.backend = mpi or tcp, or build the preset `cuda`");
}

}  // namespace homolog::comm

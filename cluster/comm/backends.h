// The back-ends that connect() chooses from; private to cluster/comm.
// Each is one factory, so that a build without a back-end links a stub in its place.
#pragma once

#include <memory>
#include <string>

#include "cluster/comm/communicator.h"
#include "cluster/topology/environment.h"
#include "cluster/topology/rendezvous.h"

namespace homolog::comm {

std::unique_ptr<Communicator> make_solo();

// Runs MPI_Init_thread. Throws Fault::Environment when the world does not form in time.
std::unique_ptr<Communicator> make_mpi(const CommPlan& plan);

// Forms the world without MPI. Throws Fault::Environment or Fault::Usage, see bootstrap.h.
std::unique_ptr<Communicator> make_tcp(const CommPlan& plan, const topology::Rendezvous& where,
                                       const topology::Place& place);

// Identity of the GPU that the rank at `local_index` would use ("0000:3b:00.0"), "" without one.
// A process that sees as many GPUs as there are ranks on its host takes its own; one that sees a
// single GPU (SLURM's --gpus-per-task=1) takes that.
std::string gpu_identity(const topology::Rank& rank);

// Takes over `host` for the small host-memory operations and to hand round the NCCL id.
// Collective. Throws Fault::Environment.
std::unique_ptr<Communicator> make_nccl(const CommPlan& plan, std::unique_ptr<Communicator> host);

}  // namespace homolog::comm

// Where a worker trains, and how Torch is set up for it.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "cluster/comm/communicator.h"

namespace homolog::train {

// `wanted`: auto, cpu or cuda. A GPU becomes the current device. Throws Fault::Environment where
// there is none to use, Fault::Usage for a CPU with NCCL.
torch::Device choose_device(const std::string& wanted, const comm::Communicator& communicator);

// Seeds Torch alike on every rank, which gives the same first weights, and lets a deterministic run
// use repeatable algorithms in full float32 alone.
void prepare_torch(std::uint64_t seed, bool deterministic);

// Makes a stream of its own the current one, as recording needs (recorded_work.h); on a CPU
// nothing.
void leave_default_stream(torch::Device device);

}  // namespace homolog::train

// What one rank holds of a run, every tensor by name: to save it, to fill it from a checkpoint, to
// make all ranks equal at the start and to prove later that they still are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "cluster/comm/communicator.h"
#include "objective/objective.h"
#include "train/checkpoint.h"
#include "train/gradient_arena.h"
#include "train/optimizer.h"

namespace homolog::train {

class Replica {
 public:
  Replica(objective::Objective& objective, GradientArena& arena, Optimizer& optimizer)
      : objective_(objective), arena_(arena), optimizer_(optimizer) {}

  // Live tensors (views), by the names that checkpoints use.
  TensorFiles tensors();
  // Fill from a verified checkpoint; all names, shapes and types are checked before one is copied.
  // Throws Fault::Usage saying what differs.
  void load(const std::filesystem::path& checkpoint);
  // Copy rank 0's tensors to all.
  void broadcast(comm::Communicator& communicator);
  // Hash of weights, target, running statistics of both and the objective's state.
  std::uint64_t fingerprint();

 private:
  objective::Objective& objective_;
  GradientArena& arena_;
  Optimizer& optimizer_;
};

// Compare one text per rank; throws `fault` (Replicas) naming the ranks that differ from most.
void require_equal_replicas(comm::Communicator& communicator, std::uint64_t fingerprint,
                            std::int64_t step);

// Compare "key=value" lines of all ranks with rank 0's. Throws Fault::Usage on all ranks, naming
// for each rank that differs every key with both values.
void require_equal_settings(comm::Communicator& communicator, const std::string& lines);

}  // namespace homolog::train

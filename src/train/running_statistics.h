// Running statistics (batch normalisation) after a step that counts: the ranks' mean on every rank,
// and the target's copied from it (D36). Each rank has seen other samples, so without it replicas
// would differ, and what is saved would be rank 0's.
#pragma once

#include <torch/types.h>

#include <utility>
#include <vector>

#include "cluster/comm/communicator.h"
#include "objective/objective.h"

namespace homolog::train {

class RunningStatistics {
 public:
  // Of the objective's networks, which must stay on their device. Throws std::logic_error when the
  // target has a buffer without an online twin of the same shape.
  RunningStatistics(objective::Objective& objective, comm::Communicator& communicator);
  // Every rank at the same step, after all its forward passes; never for a skipped step. One small
  // all-reduce, none where there is one rank or no such buffer.
  void settle();

 private:
  void average();
  comm::Communicator& communicator_;
  std::vector<torch::Tensor> floating_;                                     // online's
  std::vector<std::pair<torch::Tensor, torch::Tensor>> online_and_target_;  // counters too
};

}  // namespace homolog::train

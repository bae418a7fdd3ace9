// Running statistics (batch normalisation) after a step that counts: the ranks' mean on every rank,
// and the target's copied from it (D36). Each rank has seen other samples, so without it replicas
// would differ, and what is saved would be rank 0's.
#pragma once

#include <torch/types.h>

#include <utility>
#include <vector>

#include "objective/objective.h"

namespace homolog::train {

class RunningStatistics {
 public:
  // Of the objective's networks, which must stay on their device. Throws std::logic_error when the
  // target has a buffer without an online twin of the same shape.
  explicit RunningStatistics(objective::Objective& objective);
  // This rank's, flat float64 on their device, for the step's consensus; undefined without any.
  torch::Tensor local() const;
  // `world_sums` of local() over `ranks`, undefined: nothing to average. Never for a skipped step.
  void settle(const torch::Tensor& world_sums, int ranks);

 private:
  std::vector<torch::Tensor> floating_;                                     // online's
  std::vector<std::pair<torch::Tensor, torch::Tensor>> online_and_target_;  // counters too
};

}  // namespace homolog::train

// A network's buffers as they were before a step: batch normalisation moves them in forward, before
// anyone knows that the step will be skipped (P5).
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <utility>
#include <vector>

#include "model/moving_buffers.h"

namespace homolog::train {

using model::moving_buffers;

class KeptBuffers {
 public:
  explicit KeptBuffers(const torch::nn::Module& module);
  void keep();     // before the first forward pass of a step
  void restore();  // after a step that is skipped

 private:
  std::vector<std::pair<torch::Tensor, torch::Tensor>> live_and_kept_;
};

}  // namespace homolog::train

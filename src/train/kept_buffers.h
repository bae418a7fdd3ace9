// A network's buffers as they were before a step: batch normalisation moves them in forward, before
// anyone knows that the step will be skipped (P5).
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace homolog::train {

// Live buffers that a forward pass may move, by name: floating-point ones and counters. Tables of
// integers are constants.
std::map<std::string, torch::Tensor> moving_buffers(const torch::nn::Module& module);

class KeptBuffers {
 public:
  explicit KeptBuffers(const torch::nn::Module& module);
  void keep();     // before the first forward pass of a step
  void restore();  // after a step that is skipped

 private:
  std::vector<std::pair<torch::Tensor, torch::Tensor>> live_and_kept_;
};

}  // namespace homolog::train

// Copies stay on the buffers' device.
#include "train/kept_buffers.h"

#include <torch/types.h>
#include <torch/utils.h>

namespace homolog::train {

KeptBuffers::KeptBuffers(const torch::nn::Module& module) {
  for (const auto& [name, buffer] : moving_buffers(module))
    live_and_kept_.emplace_back(buffer, torch::empty_like(buffer));
}

void KeptBuffers::keep() {
  const torch::NoGradGuard no_grad;
  for (auto& [live, kept] : live_and_kept_) kept.copy_(live);
}

void KeptBuffers::restore() {
  const torch::NoGradGuard no_grad;
  for (auto& [live, kept] : live_and_kept_) live.copy_(kept);
}

}  // namespace homolog::train

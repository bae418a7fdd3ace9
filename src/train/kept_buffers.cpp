// Copies stay on the buffers' device; tables of integers are constants and cost nothing.
#include "train/kept_buffers.h"

#include <torch/types.h>
#include <torch/utils.h>

namespace homolog::train {

KeptBuffers::KeptBuffers(const torch::nn::Module& module) {
  for (const torch::Tensor& buffer : module.buffers()) {
    if (buffer.is_floating_point() || buffer.dim() == 0)
      live_and_kept_.emplace_back(buffer, torch::empty_like(buffer));
  }
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

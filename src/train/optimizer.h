// AdamW or SGD over the arena: measures the gradient, then clips, updates and moves the EMA target
// in one pass (fused_update.h). Holds the step counts that bias correction needs, per tensor.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/options.h"
#include "train/fused_update.h"
#include "train/gradient_arena.h"

namespace homolog::train {

struct OptimizerPlan {
  std::string name = "adamw";  // adamw | sgd
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double momentum = 0.9;  // sgd
  double clip = 3.0;      // L2 norm; 0: no clipping
  std::string clip_mode =
      "tensor";  // tensor: each tensor's norm (method.md 5); global: all together
};
void declare(Options& options, OptimizerPlan& plan);

// The numbers of one step.
struct StepRates {
  double learning_rate = 0, weight_decay = 0, ema_momentum = 1;
};

class Optimizer {
 public:
  // `gradient_scale`: the arena holds sums; their mean is scale * sum.
  Optimizer(GradientArena& arena, const OptimizerPlan& plan, double gradient_scale);

  // Norms of the reduced gradient, kept on the device for apply(). Returns the squared norm of the
  // mean gradient over all tensors, 0-dim float64 on the arena's device; never waits for the
  // device.
  torch::Tensor measure();
  // REQUIRES: measure() since the gradients were completed. `active[i]`: slot i has a gradient and
  // is not frozen; the others keep weights, moments and counts (AdamW skips absent gradients), only
  // their EMA goes on.
  void apply(const StepRates& rates, std::span<const std::uint8_t> active);

  // Updates so far, one count per slot: part of the checkpoint.
  std::vector<std::int64_t>& update_counts() noexcept { return counts_; }
  const OptimizerPlan& plan() const noexcept { return plan_; }

 private:
  UpdateBuffers buffers();
  GradientArena& arena_;
  OptimizerPlan plan_;
  double scale_;
  std::vector<std::int64_t> counts_;
  std::vector<UpdateSegment> segments_;
  std::vector<UpdateChunk> chunks_;
  // Host tables, and their copies on the device (the same tensors on a CPU).
  torch::Tensor segment_table_, chunk_table_, chunk_sums_, segment_squares_;
};

}  // namespace homolog::train

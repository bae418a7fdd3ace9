// What a training step costs, counted by running the objective's own passes on the meta device:
// shapes without values, so any network of any size is counted in seconds, on any machine.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>

#include "cluster/plan/step_work.h"
#include "objective/objective.h"
#include "train/session.h"

namespace homolog::census {

// The step to be counted.
struct StepSetup {
  std::function<std::unique_ptr<objective::Objective>()> objective;  // on the CPU, as for training
  // The stream's views of one batch on a device; values do not matter.
  std::function<objective::Views(std::int64_t batch, const torch::Device& device)> views;
  train::TrainingPlan plan;
};

// Counts one forward and backward pass of plan.batch samples. Where the objective cannot run
// without values it is run for real on this machine's CPU with one sample, and scaled; `source` of
// the result says which. Throws what building the objective throws.
plan::StepWork count_step(const StepSetup& setup);

// A network alone: its operators when `forward` runs on `device`, and backward from what it
// returns. `saved`, `peak`: see plan::StepMemory. `kept`: tensors that are no results.
struct Counted {
  std::vector<plan::OperatorWork> operators;
  double saved = 0, peak = 0;
};
Counted count(const torch::Device& device, const std::vector<torch::Tensor>& kept,
              const std::function<torch::Tensor()>& forward);

// Gives a module's parameters and buffers up for their shapes.
void to_meta(torch::nn::Module& module);

}  // namespace homolog::census

// What is trained: networks, losses and their own state. Knows neither communicator nor data.
// A new one is one file in objectives/ that defines `homolog::objective::NAME::entry`.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/backbone.h"
#include "model/precision.h"
#include "model/recompute.h"

namespace homolog::objective {

// Named input tensors of one local batch, on the training device. The stream documents the names;
// pairs: "query_B1XYZ", "key_B1XYZ" (plain, [0,1]) and "target_query_B1XYZ", "target_key_B1XYZ"
// (augmented for the target network).
struct Views {
  std::map<std::string, torch::Tensor> tensors;
  std::vector<std::uint64_t> ids;  // one per sample of the batch: seeds masks, names bad samples
  const torch::Tensor& at(const std::string& name) const { return tensors.at(name); }
};

struct StepInfo {
  std::int64_t step = 0;  // optimiser steps before this one
  std::int64_t epoch = 0;
  std::uint64_t seed = 0;
  bool training = true;  // false: validation, nothing may change
};

struct LossTerm {
  std::string name;     // "inter", "intra", "reconstruction", "acc", ...
  torch::Tensor value;  // 0-dim, detached, weighted as in the total; averaged over ranks
};

struct Loss {
  torch::Tensor total;  // 0-dim, mean over the local batch
  std::vector<LossTerm> terms;
  // Local sums for the state of the objective (centres), flat float32; summed over ranks by the
  // engine and handed to absorb(). Empty in validation.
  torch::Tensor statistics;
};

// How the engine treats one parameter.
struct ParameterRule {
  bool trained = true;  // false: fixed, no gradient, not in the arena
  bool decayed = true;  // weight decay; default: neither 1-D nor named bias (method.md 5)
  bool clipped = true;  // per-tensor or global clipping applies (CASA: false, D28)
  bool frozen_first_epoch = false;  // gradient dropped in epoch 0 (last layers)
};

class Objective {
 public:
  virtual ~Objective() = default;
  // Everything trained. named_parameters() gives the names used in checkpoints and export.
  virtual torch::nn::Module& online() = 0;
  // EMA copy, or nullptr. Its parameter names are a subset of online()'s, shapes equal.
  virtual torch::nn::Module* target() = 0;
  virtual ParameterRule rule(const std::string& name, const torch::Tensor& parameter) const;
  virtual Loss evaluate(const Views& views, const StepInfo& info) = 0;
  // The share of evaluate() that the host does: draws, and what it copies to the device. Afterwards
  // evaluate(prepare(views, info), info) gives what evaluate(views, info) gives. Where
  // has_fixed_work(), it then issues the same work in all training steps of an epoch, on tensors at
  // the same places, waits for nothing, and its host may be left out (recorded_pass.h).
  virtual Views prepare(const Views& views, const StepInfo& info) { return (void)info, views; }
  virtual bool has_fixed_work() const { return false; }
  // `world_sums`: statistics summed over ranks; `ranks` that contributed. Called before the update,
  // never for a skipped step.
  virtual void absorb(const torch::Tensor& world_sums, int ranks) { (void)world_sums, (void)ranks; }
  // State beside parameters that a checkpoint must hold (centres), by name; views of live tensors.
  virtual std::map<std::string, torch::Tensor> state() { return {}; }
  // What the monitor may show of an epoch beside the losses, by name ("teacher_temperature").
  virtual std::map<std::string, double> gauges(std::int64_t epoch) const {
    (void)epoch;
    return {};
  }
  // Prefix, within online(), of the network that `export` writes ("backbone.").
  virtual std::string exported_prefix() const = 0;
  virtual bool is_exported(const std::string& name) const = 0;
  // How MONAI builds the network that `export` writes.
  virtual backbone::MonaiForm monai() const { return {}; }
  // Lets `fill` give the backbone other weights before the first step; the target starts from them
  // too. Throws Fault::Usage where there is no backbone.
  virtual void start_from(const std::function<void(backbone::Backbone&)>& fill);
  // What the networks compute in, in training and validation. Losses, softmax, centres, weights and
  // gradients are float32 whatever it is.
  void set_precision(model::Precision precision) { precision_ = precision; }
  // Whether training passes keep what is inside the blocks of the network for backward. Changes
  // rounding alone. Throws Fault::Usage where the objective can only keep it.
  virtual void set_activations(model::Activations which);

 protected:
  model::Precision precision() const { return precision_; }

 private:
  model::Precision precision_ = model::Precision::Float32;
};

}  // namespace homolog::objective

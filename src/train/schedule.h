// Learning rate, weight decay and EMA momentum as pure functions of the step (method.md 5), and the
// length of a run. Plain numbers: no tensor, no state.
#pragma once

#include <cstdint>
#include <string>

#include "base/options.h"

namespace homolog::train {

struct SchedulePlan {
  std::int64_t epochs = 1000;  // length of the run, unless steps is given
  std::int64_t steps = 0;      // optimiser steps; 0: epochs decide
  double warmup_epochs = 50;
  std::int64_t warmup_steps = -1;  // -1: warmup_epochs decides
  double warmup_from = 0;          // share of the peak at step 0
  std::string shape = "cosine";    // after warm-up: cosine to the minimum, or constant
  double base_lr = 5e-2;           // peak = base_lr * global batch / 256
  bool scale_lr = true;            // false: peak = base_lr
  double min_lr = 1e-4;
  bool allow_peak_below_min = false;                       // the rate then rises (D29)
  double weight_decay_from = 0.04, weight_decay_to = 0.4;  // cosine, no warm-up
  double ema_from = 0.996, ema_to = 1.0;                   // cosine
  std::int64_t validate_every = 10;                        // epochs; 0: never
  std::int64_t max_skipped = 10;  // consecutive non-finite steps that end the run
};
void declare(Options& options, SchedulePlan& plan);
// What is wrong whatever the data are. Throws Fault::Usage: a warm-up as long as the run.
void check(const SchedulePlan& plan);

// from -> to along half a cosine: to + (from - to)/2 * (1 + cos(pi i / steps)).
double cosine(double from, double to, std::int64_t step, std::int64_t steps);

class Schedule {
 public:
  // global_batch: samples per optimiser step over all ranks. Throws Fault::Usage: no step at all,
  // warm-up as long as the run, peak below the minimum (unless allowed).
  Schedule(const SchedulePlan& plan, std::int64_t steps_per_epoch, std::int64_t global_batch);

  std::int64_t steps() const noexcept { return steps_; }
  std::int64_t epochs() const noexcept;                     // begun ones included
  std::int64_t epoch_of(std::int64_t step) const noexcept;  // of the step with this index
  std::int64_t steps_per_epoch() const noexcept { return steps_per_epoch_; }
  std::int64_t warmup() const noexcept { return warmup_; }
  double peak() const noexcept { return peak_; }

  // `step`: index of the optimiser step, 0 .. steps()-1.
  double learning_rate(std::int64_t step) const;
  double weight_decay(std::int64_t step) const;
  double ema_momentum(std::int64_t step) const;
  // After `done` steps: is a validation due (end of every validate_every-th epoch, of the first
  // one, and of the run)?
  bool validates_after(std::int64_t done) const;

 private:
  SchedulePlan plan_;
  std::int64_t steps_per_epoch_, steps_, warmup_;
  double peak_;
};

}  // namespace homolog::train

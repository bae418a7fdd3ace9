#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace homolog::train {
namespace {

void refuse_long_warmup(std::int64_t warmup, std::int64_t steps) {
  if (warmup < steps) return;
  throw Error(Fault::Usage,
              "the warm-up of " + std::to_string(warmup) + " steps is as long as the run of " +
                  std::to_string(steps) + " steps",
              "lower schedule.warmup_epochs (or schedule.warmup_steps), or lengthen the run");
}

}  // namespace

void declare(Options& o, SchedulePlan& p) {
  o.add("schedule.epochs", p.epochs, "length of the run", {.min = 1, .unit = "epochs"});
  o.add("schedule.steps", p.steps, "length of the run in optimiser steps; 0: epochs decide",
        {.min = 0});
  o.add("schedule.warmup_epochs", p.warmup_epochs, "linear warm-up of the learning rate",
        {.min = 0, .unit = "epochs"});
  o.add("schedule.warmup_steps", p.warmup_steps, "the same in steps; -1: warmup_epochs decides",
        {.min = -1});
  o.add("schedule.warmup_from", p.warmup_from, "share of the peak at the first step",
        {.min = 0, .max = 1});
  o.add("schedule.shape", p.shape, "learning rate after warm-up",
        {.choices = {"cosine", "constant"}});
  o.add("schedule.base_lr", p.base_lr, "peak learning rate for a global batch of 256", {.min = 0});
  o.add("schedule.scale_lr", p.scale_lr,
        "scale base_lr by global batch / 256; false: base_lr is the peak");
  o.add("schedule.min_lr", p.min_lr, "learning rate at the end of the cosine", {.min = 0});
  o.add("schedule.allow_peak_below_min", p.allow_peak_below_min,
        "accept a learning rate that rises to min_lr");
  o.add("schedule.weight_decay_from", p.weight_decay_from, "weight decay at the start", {.min = 0});
  o.add("schedule.weight_decay_to", p.weight_decay_to, "weight decay at the end (cosine)",
        {.min = 0});
  o.add("schedule.ema_from", p.ema_from, "EMA momentum of the target at the start",
        {.min = 0, .max = 1});
  o.add("schedule.ema_to", p.ema_to, "EMA momentum at the end (cosine)", {.min = 0, .max = 1});
  o.add("schedule.validate_every", p.validate_every,
        "epochs between validations, the first epoch included; 0: never",
        {.min = 0, .unit = "epochs"});
  o.add("schedule.max_skipped", p.max_skipped,
        "non-finite steps in a row that end the run (exit 5)", {.min = 1});
}

double cosine(double from, double to, std::int64_t step, std::int64_t steps) {
  const double phase = std::numbers::pi * static_cast<double>(step) / static_cast<double>(steps);
  return to + 0.5 * (from - to) * (1 + std::cos(phase));
}

void check(const SchedulePlan& plan) {
  if (plan.steps > 0 && plan.warmup_steps >= 0) refuse_long_warmup(plan.warmup_steps, plan.steps);
}

Schedule::Schedule(const SchedulePlan& plan, std::int64_t steps_per_epoch,
                   std::int64_t global_batch)
    : plan_(plan), steps_per_epoch_(steps_per_epoch) {
  if (steps_per_epoch < 1) {
    throw Error(Fault::Usage,
                "an epoch has no step: the data hold less than one global batch of " +
                    std::to_string(global_batch),
                "lower data.batch, data.accumulate or the number of workers");
  }
  steps_ = plan.steps > 0 ? plan.steps : plan.epochs * steps_per_epoch;
  warmup_ = plan.warmup_steps >= 0
                ? plan.warmup_steps
                : static_cast<std::int64_t>(
                      std::llround(plan.warmup_epochs * static_cast<double>(steps_per_epoch)));
  refuse_long_warmup(warmup_, steps_);
  peak_ = plan.base_lr * (plan.scale_lr ? static_cast<double>(global_batch) / 256.0 : 1.0);
  if (plan.shape == "cosine" && peak_ < plan.min_lr && !plan.allow_peak_below_min) {
    throw Error(
        Fault::Usage,
        "the peak learning rate " + std::to_string(peak_) +
            " (schedule.base_lr at a global batch of " + std::to_string(global_batch) +
            ") is below schedule.min_lr",
        "raise schedule.base_lr, lower schedule.min_lr, or set schedule.allow_peak_below_min");
  }
}

std::int64_t Schedule::epochs() const noexcept {
  return (steps_ + steps_per_epoch_ - 1) / steps_per_epoch_;
}
std::int64_t Schedule::epoch_of(std::int64_t step) const noexcept {
  return step / steps_per_epoch_;
}

double Schedule::learning_rate(std::int64_t step) const {
  if (step < warmup_) {
    const double first = plan_.warmup_from * peak_;
    const auto last = std::max<std::int64_t>(1, warmup_ - 1);
    return first + (peak_ - first) * static_cast<double>(step) / static_cast<double>(last);
  }
  if (plan_.shape == "constant") return peak_;
  return cosine(peak_, plan_.min_lr, step - warmup_, steps_ - warmup_);
}

double Schedule::weight_decay(std::int64_t step) const {
  return cosine(plan_.weight_decay_from, plan_.weight_decay_to, step, steps_);
}

double Schedule::ema_momentum(std::int64_t step) const {
  return cosine(plan_.ema_from, plan_.ema_to, step, steps_);
}

bool Schedule::validates_after(std::int64_t done) const {
  if (plan_.validate_every == 0 || done == 0) return false;
  if (done == steps_) return true;
  if (done % steps_per_epoch_ != 0) return false;
  const std::int64_t epoch = done / steps_per_epoch_ - 1;  // the one that just ended
  return epoch % plan_.validate_every == 0;
}

}  // namespace homolog::train

// The plan of a run on a cluster: memory, times, scaling, data, checkpoints, hours.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cluster/plan/allreduce_model.h"
#include "cluster/plan/hardware.h"
#include "cluster/plan/step_model.h"
#include "cluster/plan/step_work.h"

namespace homolog::plan {

// Real steps of one worker, in place of the device table.
struct Probe {
  double step = 0, spread = 0;  // s: median without waiting for others, and half the quartiles' gap
  double data_wait = 0;         // s of it, waiting for data
  std::int64_t steps = 0;
  std::string where;  // "cpu" or "cuda"
};

// Beside the step's own work.
struct Question {
  std::int64_t nodes = 1, per_node = 1;  // workers are their product
  Device device;
  Format format;
  std::int64_t accumulate = 1;
  bool recomputes = false;                    // blocks are recomputed in backward, not kept
  double jitter = 0.01;                       // standard deviation of a step, as a share of it
  std::int64_t steps = 0, train_samples = 0;  // of the schedule, of an epoch; 0: not known
  std::int64_t recipe_batch = 0;              // samples per step as published; 0: not known
  bool rate_follows_batch = true;             // schedule.scale_lr
  double sample_bytes = 0;                    // stored, of one sample
  bool sample_bytes_from_store = false;
  std::optional<Probe> probe = std::nullopt;
};

struct MemoryNeed {
  StepMemory kinds;    // as the format has them
  double context = 0;  // the driver's and NCCL's own
  double total = 0;
  std::optional<double> offered;  // of the device, where known
  bool fits() const { return !offered || total <= *offered; }
};

struct ScalingRow {
  std::int64_t nodes = 1, workers = 1;
  Scaling scaling;
  double samples_per_s = 0;
};

struct Forecast {
  std::int64_t workers = 1, global_batch = 1;
  StepSeconds modelled;  // of one worker, from the device table
  double step = 0;       // s without communication: measured where probed, else modelled
  bool measured = false;
  MemoryNeed memory;
  double gradient_bytes = 0, sent_bytes = 0;  // all-reduced a step; what one worker sends for it
  AllReduce all_reduce;
  std::vector<ScalingRow> rows;  // one worker, one node, two, four, …, all; the last is the plan
  double samples_per_s = 0, data_bytes_per_s = 0, data_bytes_per_s_node = 0;
  double products_share = 0;  // of the device's peak of products, while it computes (MFU)
  double checkpoint_bytes = 0;
  double hours = 0, device_hours = 0;  // 0: the schedule's length is not known
  std::vector<std::string> warnings;   // what should be looked at before submitting
};

// REQUIRES: nodes, per_node and accumulate at least 1.
Forecast forecast(const StepWork& work, const Question& question);

}  // namespace homolog::plan

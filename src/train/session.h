// One training run from its plan and its parts: what homolog-train and `homolog sam train` share.
// The program builds the objective and the source; this joins them to ranks, checkpoints and
// monitor.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/options.h"
#include "cluster/comm/communicator.h"
#include "objective/objective.h"
#include "train/checkpoint.h"
#include "train/cluster_plan.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/source.h"

namespace homolog::train {

// Set fields before declare() to give a program other defaults.
struct TrainingPlan {
  std::filesystem::path run;           // --run
  std::string resume = "auto";         // --resume auto | none | exact
  std::filesystem::path from;          // --from, with exact: the checkpoint to take
  bool overwrite = false;              // --overwrite, with none: remove this run's checkpoints
  std::int64_t stop_after = 0;         // --max-steps-this-run: then checkpoint and exit 75
  std::int64_t batch = 1;              // data.batch: samples per rank and micro batch
  std::int64_t accumulate = 1;         // data.accumulate: micro batches per step
  std::uint64_t seed = 123;            // data.seed
  std::string device = "auto";         // --device auto | cpu | cuda
  bool deterministic = false;          // cluster.deterministic
  bool cuda_graph = false;             // cluster.cuda_graph: passes are recorded (GradientPass)
  bool activation_checkpoint = false;  // cluster.activation_checkpoint: blocks are recomputed
  std::string precision = "float32";   // cluster.precision float32 | bf16: what networks compute in
  OptimizerPlan optimizer;
  SchedulePlan schedule;
  CheckpointPlan checkpoint;
  ClusterPlan cluster;
};

// Declares --run, --resume, --from, --overwrite, --max-steps-this-run, --device, data.{batch,
// accumulate,seed} and the sections [optimizer] [schedule] [checkpoint] [cluster].
void declare(Options& options, TrainingPlan& plan);
// Of these, what a configuration file can hold.
void declare_recipe(Options& options, TrainingPlan& plan);
model::Activations activations_of(const TrainingPlan& plan);
// What no single option tells. Throws Fault::Usage. For --check-config call it where parse() was
// false, too.
void check(const TrainingPlan& plan);

// What a source is built from.
struct Start {
  data::Cursor cursor;  // first global batch to give
  int rank = 0, world = 1;
  std::int64_t batch = 1, accumulate = 1;
  std::uint64_t seed = 0;
  torch::Device device = torch::kCPU;
};

struct TrainingParts {
  std::string program;  // for the manifest: "homolog-train"
  // Called once, after torch's generator got the same seed on every rank; the engine moves the
  // networks to the device. Rank 0's weights are broadcast.
  std::function<std::unique_ptr<objective::Objective>()> objective;
  std::function<std::unique_ptr<Source>(const Start&)> source;
  // Other weights for a run from the start, where given: called on rank 0 before the first step.
  // Returns what the run's identity says of them: {"weights", hash}.
  std::function<std::map<std::string, std::string>(objective::Objective&)> initial_weights;
  // What all ranks, and a resumed run, must agree on beside the configuration: {"store", hash}.
  std::map<std::string, std::string> identity;
};

// Trains to the end of the schedule. Returns 0, or 75 when it was asked to stop (checkpoint saved).
// Throws Error: Usage (plan, disagreement between ranks), Data (no valid checkpoint, bad store),
// Environment, Diverged, Replicas. A fault of one rank alone ends the other ranks too (abort).
int run_training(const TrainingPlan& plan, const TrainingParts& parts, const Options& options);

// The same in a world that was joined before. Aborts nobody: a fault of one rank alone leaves the
// others waiting until the communicator's timeout.
int run_training_in(comm::Communicator& communicator, const TrainingPlan& plan,
                    const TrainingParts& parts, const Options& options);

}  // namespace homolog::train

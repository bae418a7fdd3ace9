// A checkpoint on disk: a folder of safetensors and a JSON manifest with their hashes
// (docs/formats/checkpoint.md). It exists under its name only when whole; the newest whole one
// counts.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/pair_stream.h"
#include "model/backbone.h"

namespace homolog::train {

inline constexpr int kCheckpointVersion = 1;

struct CheckpointPlan {
  std::int64_t every_steps = 0;  // 0: by time alone
  double every_s = 600;          // seconds between saves; 0: by steps alone
  std::int64_t keep = 3;         // newest ones kept; best/ is beside them
  double margin_s = 120;         // stop this long before SLURM_JOB_END_TIME
  bool synchronous = false;      // write before the next step (tests)
};
void declare(Options& options, CheckpointPlan& plan);

// Everything but tensors that a run continues from.
struct TrainState {
  std::int64_t step = 0;                // optimiser steps done, skipped ones included
  data::Cursor cursor;                  // of the next step
  std::vector<std::uint64_t> next_ids;  // of rank 0's next batch; empty: unknown
  std::int64_t skipped_in_a_row = 0;
  double best_validation = std::numeric_limits<double>::infinity();
  double last_validation = std::numeric_limits<double>::infinity();
  std::int64_t best_step = -1;  // whose weights best_validation is of; -1: unknown
  std::uint64_t seed = 0;
  int world = 1;
  std::int64_t global_batch = 1;
  std::int64_t steps = 0;                       // of the whole schedule
  std::string config;                           // resolved INI text
  std::map<std::string, std::string> identity;  // {"store", hash}, {"objective", name}
  std::string exported_prefix;                  // what `homolog export` takes off the names below
  std::vector<std::string> exported;            // tensors of "model" that it writes
  backbone::MonaiForm monai;                    // the network behind the prefix, as MONAI builds it
};

// The state as one JSON text, as it stands in the manifest; to hand it from rank to rank.
std::string state_text(const TrainState& state);
TrainState state_from_text(const std::string& text);

// By file stem: "model", "target", "objective", "optimizer".
using TensorFiles = std::map<std::string, std::map<std::string, torch::Tensor>>;

// Write to `folder` (a temporary name, fsync, rename). Returns bytes. Throws Fault::Environment.
std::int64_t write_checkpoint(const std::filesystem::path& folder, const TrainState& state,
                              const TensorFiles& files);

// Manifest only, or with the hashes of its files checked: all of them, or the one of `stem` alone
// for who reads no other. Throws Fault::Data naming file and reason; a manifest of another version
// says so.
TrainState read_manifest(const std::filesystem::path& folder);
TrainState verify_checkpoint(const std::filesystem::path& folder, const std::string& stem = "");
// The tensors of one file of a verified checkpoint; {} when the checkpoint has no such file.
std::map<std::string, torch::Tensor> read_tensors(const std::filesystem::path& folder,
                                                  const std::string& stem);

struct Found {
  std::filesystem::path folder;
  TrainState state;
};
// Newest in `checkpoints` (…/step-*) that verifies. `refused` gets one line for each newer one that
// does not. Verified one by one, newest first, as above; {} when there is none.
std::optional<Found> newest_checkpoint(const std::filesystem::path& checkpoints,
                                       std::vector<std::string>& refused,
                                       const std::string& stem = "");
std::vector<std::filesystem::path> list_checkpoints(
    const std::filesystem::path& checkpoints);             // oldest first
std::filesystem::path checkpoint_name(std::int64_t step);  // "step-00000123"

}  // namespace homolog::train

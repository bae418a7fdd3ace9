// Where a run goes on: which checkpoint counts, whether it fits this configuration, and the same
// answer on every rank. Rank 0 reads; the others hear.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/ini.h"
#include "cluster/comm/communicator.h"
#include "train/checkpoint.h"
#include "train/replica.h"
#include "train/run_folder.h"

namespace homolog::train {

struct ResumeRequest {
  std::string how = "auto";  // auto: newest whole checkpoint; without any, from the start
                             // none: from the start; exact: `from` (or the newest) and no other
  std::filesystem::path from;
  bool overwrite = false;  // with none: remove what an earlier run left
  // INI: what a setting was where the checkpoint does not name it yet, being of an older version.
  std::string defaults = {};
};

// `fresh`: the state of a run from the start, with seed, world, global batch, config and identity.
// Later checkpoints than the one taken, and another of its step, are renamed abandoned-step-*, and
// told; none is deleted.
// Fills `replica` on rank 0 (the caller broadcasts) and returns the state to start from, on all
// ranks the same but for next_ids, which only rank 0 keeps. Throws on all ranks: Usage (checkpoints
// in the way, another configuration, store, seed or global batch), Data (exact, and it is damaged;
// auto, and all are).
TrainState resume(const ResumeRequest& request, const RunFolder& folder, const TrainState& fresh,
                  Replica& replica, comm::Communicator& communicator);

}  // namespace homolog::train

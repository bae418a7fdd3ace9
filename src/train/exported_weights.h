// From a checkpoint to the file that users load: the encoder's tensors (SAM: the whole network's),
// flat, with where they came from in the file's metadata, which names no folder. Needs no network:
// the checkpoint's manifest names the tensors.
#pragma once

#include <filesystem>
#include <string>

#include "model/weights_file.h"
#include "train/checkpoint.h"

namespace homolog::train {

struct ExportPlan {
  std::filesystem::path source;  // a checkpoint, or a run (its newest whole one; best: its best)
  std::string layout = "reference";  // reference: the public nnFormer's names; native: ours
  std::string which = "online";      // online | target
  bool best = false, full = false;   // full: heads and decoder parts too
};

// The checkpoint folder that `source` means. Throws Fault::Data: neither run nor checkpoint, none
// whole.
std::filesystem::path find_checkpoint(const std::filesystem::path& source, bool best);

// Verifies hashes first. Throws Fault::Data.
model::WeightsFile exported_weights(const ExportPlan& plan);

}  // namespace homolog::train

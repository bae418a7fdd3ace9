// From a checkpoint to the file that users load: the encoder's tensors (SAM: the whole network's),
// flat, with where they came from in the file's metadata, which names no folder. Needs no network:
// the checkpoint's manifest names the tensors.
#pragma once

#include <filesystem>
#include <string>

#include "model/weights/weights_file.h"
#include "train/checkpoint.h"

namespace homolog::train {

struct ExportPlan {
  std::filesystem::path source;  // a checkpoint, or a run (its newest whole one; best: its best)
  // reference: the network's own names; native: as in checkpoints; monai: MONAI's networks load
  // them; monai-unetr: a ViT's, as its UNETR names it
  std::string layout = "reference";
  std::string which = "online";     // online | target
  bool best = false, full = false;  // full: heads and decoder parts too
};

// The checkpoint folder that the plan means: of a run the newest whose file of that network is
// whole. Throws Fault::Data: neither run nor checkpoint, none whole.
std::filesystem::path find_checkpoint(const ExportPlan& plan);

// Verifies the hash of the one file that it reads; no other needs to be there. Throws Fault::Data;
// Usage for a layout that this network has not.
model::WeightsFile exported_weights(const ExportPlan& plan);

}  // namespace homolog::train

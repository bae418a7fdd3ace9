// Weights that others wrote: PyTorch's .pt and .pth, both containers of torch.save, and
// safetensors. Pickles are read as data and never run (pickle.h).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/weights/weights_file.h"

namespace homolog::model {

struct ForeignWeights {
  WeightsFile weights{};                // names without the prefixes that all of them shared
  std::string container{};              // "safetensors", "torch zip", "torch legacy"
  std::vector<std::string> notes{};     // what was taken and what was left out, one line each
  std::vector<std::string> left_out{};  // tensors that are no part of any network here: heads
};

// Reads the file by its first bytes, not its name. A checkpoint that holds a state dict under a
// usual key ("state_dict", "model", "network_weights", "student", ...) gives that one, or the one
// under `part`. Prefixes that all names share ("module.", "backbone.") are taken off and told. A
// transformer that was published under other names is read as its network's. Throws Fault::Data:
// missing, cut off (with the offset), a pickle that would run something, tensors that leave their
// storage, big-endian, compressed, no state dict, other weights than the file's weights_xxh3;
// Usage: a part of a safetensors file, which has none.
ForeignWeights read_foreign_weights(const std::filesystem::path& file,
                                    const std::string& part = "");

// Takes off what all names share of the usual prefixes; one line each into `notes`.
void strip_shared_prefixes(std::map<std::string, torch::Tensor>& tensors,
                           std::vector<std::string>& notes);

}  // namespace homolog::model

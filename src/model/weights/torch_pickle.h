// What torch.save's pickles mean: which names they may hold, and how their notes of calls become
// tensors over storages whose sizes are known.
#pragma once

#include <torch/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/weights/pickle.h"

namespace homolog::model {

// Names that stand for tensors or for inert values. All others end the reading.
PickleRules torch_pickle_rules();

// A storage as the pickle names it.
struct StorageId {
  std::string key;
  torch::Dtype type = torch::kFloat32;
  std::int64_t elements = 0;
  std::int64_t from = 0, of_view = -1;  // legacy views: elements from..from+of_view; -1: all
};
// Gives a storage's elements as a flat tensor of its type; throws Fault::Data.
using StorageReader = std::function<torch::Tensor(const StorageId&)>;

// The storage that a persistent id of the pickle names. Throws Fault::Data.
StorageId storage_id(const PickleValue& persistent, const std::string& origin);

struct StateDict {
  std::map<std::string, torch::Tensor> tensors;  // views of the storages where they are contiguous
  std::vector<std::string> notes;
};
// The state dict of a checkpoint's value, or the one under the key `part`. `most_bytes`: that all
// tensors may take together. Throws Fault::Data: none, shapes or strides that leave the storage or
// overlap themselves.
StateDict state_dict_of(const PickleValue& root, const StorageReader& storage,
                        const std::string& part, std::uint64_t most_bytes,
                        const std::string& origin);

}  // namespace homolog::model

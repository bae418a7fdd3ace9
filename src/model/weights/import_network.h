// Which network a file's weights are of, and those weights under its own names, with all that a
// reader needs to build it again. Docs: docs/formats/weights.md.
#pragma once

#include <string>

#include "model/build_backbone.h"
#include "model/weights/network_weights.h"

namespace homolog::backbone {

struct ImportPlan {
  std::string backbone{};  // empty: told by the names
  Size3 crop{};            // 0: by the position table, or any
  Settings options{};      // beside what the file tells: "model.NAME.key"
};

struct ImportedNetwork {
  std::string backbone;
  Settings options;  // all of the network's
  Size3 crop{};      // 0: any
  MonaiForm monai;
  std::string origin;  // the file's name, without folders
  std::string container;
  NetworkWeights weights;
};

// Throws Fault::Data: no network's names, or the list of what differs; Usage: options that the
// network does not have.
ImportedNetwork import_network(const model::ForeignWeights& from, const ImportPlan& plan,
                               const std::string& file_name);

// The network whose names these are, without any look at what differs; "": none's.
std::string network_named(const NamedTensors& tensors);

// The native file.
model::WeightsFile native_file(const ImportedNetwork& network);

}  // namespace homolog::backbone

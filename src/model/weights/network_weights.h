// Weights of a file against a network: names, shapes, types and numbers, all compared before one is
// copied. What may be missing or be left out is a short list (docs/formats/weights.md).
#pragma once

#include <string>
#include <vector>

#include "model/backbone_entry.h"
#include "model/weights/torch_file.h"

namespace homolog::backbone {

struct NetworkWeights {
  NamedTensors tensors;                // by the network's names, in its types
  std::vector<std::string> left_out;   // of the file: heads, parts that the network has not
  std::vector<std::string> absent;     // of the network: they keep what they have
  int own_absent = 0;                  // of the network's pre-training decoder: as above
  std::vector<std::string> resampled;  // position tables that were made for another crop
  std::vector<std::string> notes;      // one line each
  bool whole = false;                  // not the encoder alone
};

struct FitRules {
  Size3 crop{};          // that the network was built for
  bool resample = true;  // position tables of another crop; false: they are refused
};

// Ways to see a file's names: as they are; the ones under "backbone." where there are others beside
// them (heads, CASA); the ones under "vit." (a ViT within UNETR). The rest is returned in `others`.
NamedTensors names_under(const NamedTensors& tensors, const std::string& prefix,
                         std::vector<std::string>& others);

// Throws Fault::Data with the whole list of what differs: missing, unexpected, another shape or
// type, not finite, an index that is not the network's.
NetworkWeights fit(const Backbone& network, const model::ForeignWeights& from,
                   const std::string& origin, const FitRules& rules);

// Copies; what is absent stays.
void load(Backbone& network, const NetworkWeights& weights);

}  // namespace homolog::backbone

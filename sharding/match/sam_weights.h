// SAM's weights with what inference must know beside them: network options, intensity map, grid.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "model/sam_net.h"
#include "volume/grid.h"
#include "volume/intensity.h"

namespace homolog::match {

struct SamWeights {
  model::SamNetPlan net;
  IntensityMap intensity;
  double spacing_mm = 2;                         // isotropic grid of the network's input
  std::map<std::string, torch::Tensor> tensors;  // parameters and buffers by name
  std::string hash;  // of tensors and settings, 16 hex digits; set on reading and writing
};

// Of a trained network (its tensors are shared, not copied; `hash` stays empty).
SamWeights weights_of(const model::SamNet& net, const IntensityMap& intensity, double spacing_mm);

// The network's coarse cell: the least volume that it can embed. x, y, z.
Index3 coarse_cell(const model::SamNetPlan& plan);

// Atomic. Returns the hash. Throws Fault::Environment.
std::string write_sam_weights(const std::filesystem::path& file, const SamWeights& weights);
// Throws Fault::Data: missing, broken, another kind of weights.
SamWeights read_sam_weights(const std::filesystem::path& file);

}  // namespace homolog::match

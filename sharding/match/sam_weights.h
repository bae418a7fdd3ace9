// SAM's weights with what inference must know beside them: network options, intensity map, grid.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "model/sam_net.h"
#include "model/weights/torch_file.h"
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

// Whether names are those of the published SAM checkpoints (mmdet: backbone, neck, read_out_head).
bool is_published_sam(const std::map<std::string, torch::Tensor>& tensors);
// The published network's weights. Width, vectors and stem are read from the shapes; `plan` gives
// what they do not tell, the coarse stride. Intensities and grid are the publication's (method.md
// 7.1). Throws Fault::Data with the whole list of what differs.
SamWeights published_sam(const model::ForeignWeights& from, const model::SamNetPlan& plan,
                         const std::string& file_name);

// Of a trained network (its tensors are shared, not copied; `hash` stays empty).
SamWeights weights_of(const model::SamNet& net, const IntensityMap& intensity, double spacing_mm);

// The network's coarse cell: the least volume that it can embed. x, y, z.
Index3 coarse_cell(const model::SamNetPlan& plan);

// Atomic. Returns the hash. Throws Fault::Environment.
std::string write_sam_weights(const std::filesystem::path& file, const SamWeights& weights);
// Throws Fault::Data: missing, broken, another kind of weights.
SamWeights read_sam_weights(const std::filesystem::path& file);

}  // namespace homolog::match

// SAM's network (method.md 7.1): a 3D ResNet-18 whose stages 1-3 feed a pyramid of fine vectors and
// whose stage 4 feeds coarse ones. Parameter names are the reference's, so that its weights import.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/recompute.h"

namespace homolog::model {

struct SamNetPlan {
  int width = 64;                                  // channels of the stem; stages: 1, 2, 4, 8 times
  int embedding = 128;                             // channels of both vectors
  std::vector<std::int64_t> stem_kernel{3, 7, 7};  // z, y, x; odd
  std::vector<std::int64_t> coarse_stride{4, 16, 16};  // z, y, x; (4,16,16) or (4,8,8)
};

// Keys "objective.sam.width", ... (they are the SAM objective's options).
void declare(Options& options, SamNetPlan& plan);
// Throws Fault::Usage naming the key.
void validate(const SamNetPlan& plan);

// For the weights' metadata, so that inference needs nothing else.
std::map<std::string, std::string> to_metadata(const SamNetPlan& plan);
// Throws Fault::Data naming `origin` when an entry is missing or no number.
SamNetPlan sam_plan_from_metadata(const std::map<std::string, std::string>& metadata,
                                  const std::string& origin);

struct SamMaps {
  torch::Tensor fine_BCZYX;    // cells of 2x2x2 input voxels: z/2 floored, y/2 and x/2 rounded up
  torch::Tensor coarse_BCZYX;  // cells of coarse_stride input voxels
};

// Before the read-outs: C1..C4 of method.md 7.1.
struct SamStages {
  torch::Tensor c1, c2, c3, c4;
};

class SamNet : public torch::nn::Module {
 public:
  explicit SamNet(const SamNetPlan& plan);
  ~SamNet() override;
  const SamNetPlan& plan() const noexcept { return plan_; }

  // image_B1ZYX: float, LPS+, intensities of IntensityMap. Unit length over C.
  SamMaps forward(const torch::Tensor& image_B1ZYX);
  SamStages stages(const torch::Tensor& image_B1ZYX);
  SamMaps read_out(const SamStages& stages);  // before normalisation
  // Of the encoder's blocks, in the training passes that follow.
  void set_activations(Activations which) { activations_ = which; }

 private:
  struct Parts;
  SamNetPlan plan_;
  std::unique_ptr<Parts> parts_;
  Activations activations_ = Activations::Kept;
};

}  // namespace homolog::model

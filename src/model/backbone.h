// An encoder-decoder that an objective can train. A new one is one file in backbones/ that defines
// `homolog::backbone::NAME::entry` (backbone_entry.h); the build finds it.
#pragma once

#include <torch/nn/module.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "model/row_draws.h"

namespace homolog::backbone {

using Size3 = std::array<std::int64_t, 3>;  // voxels, network order (X, Y, Z)

// All maps channels-first, network frame (RAS+; design "Axes").
struct Features {
  torch::Tensor cls_BC;         // pooled deepest feature
  torch::Tensor encoder_BCXYZ;  // deepest encoder map (CASA's queries)
  torch::Tensor decoder_BCXYZ;  // decoder level 1 (CASA's student keys); undefined if not asked for
  torch::Tensor reconstruction_B1XYZ;  // full resolution; undefined if not asked for
};

// Which parts of the forward pass are needed; the others are not run.
struct Want {
  bool decoder = true;         // decoder_BCXYZ
  bool reconstruction = true;  // reconstruction_B1XYZ
};

struct FeatureSpec {
  std::int64_t encoder_channels = 0;  // of cls and encoder map
  std::int64_t decoder_channels = 0;  // of decoder map
  Size3 mask_cell{16, 16, 16};        // voxels; the finest mask the network can take
};

class Backbone : public torch::nn::Module {
 public:
  // image_B1XYZ: float, [0, 1], already masked. Sides must suit the network (checked at
  // construction).
  virtual Features run(const torch::Tensor& image_B1XYZ, Want want) = 0;
  virtual FeatureSpec spec() const = 0;
  // Names (prefixes) of parameters that belong to the exported encoder.
  virtual bool is_encoder_parameter(const std::string& name) const = 0;
  // Whether a parameter takes part in run(image, want); the others get no gradient.
  virtual bool is_used(const std::string& name, Want want) const {
    return (void)name, (void)want, true;
  }
  // Randomness (stochastic depth) of the training passes that follow, one key per row of the batch.
  void set_draws(model::RowDraws draws) { draws_ = std::move(draws); }

 protected:
  const model::RowDraws& draws() const { return draws_; }

 private:
  model::RowDraws draws_;
};

}  // namespace homolog::backbone

// An encoder-decoder that an objective can train. A new one is one file in backbones/ that defines
// `homolog::backbone::NAME::entry` (backbone_entry.h); the build finds it.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "model/recompute.h"
#include "model/row_draws.h"

namespace homolog::backbone {

using Size3 = std::array<std::int64_t, 3>;  // voxels, network order (X, Y, Z)

// What one pass looks at, network frame (RAS+; design "Axes").
struct View {
  torch::Tensor image_B1XYZ;          // float, [0, 1], whole
  torch::Tensor visible_B1XYZ{};      // 1 seen, 0 masked, whole mask cells; undefined: all seen
  double visible_share = 1;           // of the cells of every row alike
  torch::Tensor seen_B1XYZ() const {  // zeros where masked (D10)
    return visible_B1XYZ.defined() ? image_B1XYZ * visible_B1XYZ : image_B1XYZ;
  }
};

// Token sequences are maps flattened with the last spatial axis fastest. docs/guide/encoders.md
// says which layer each network gives, and why.
struct Features {
  torch::Tensor cls_BC;       // pooled deepest feature, or the class token
  torch::Tensor encoder_BLC;  // deepest encoder tokens (CASA's queries); the visible ones alone in
                              // a network that leaves masked tokens out
  torch::Tensor decoder_BLC;  // decoder level 1 (CASA's student keys); undefined if not asked for
  torch::Tensor reconstruction_B1XYZ;  // full resolution; undefined if not asked for
};

// Which parts of the forward pass are needed; the others are not run.
struct Want {
  bool decoder = true;         // decoder_BLC
  bool reconstruction = true;  // reconstruction_B1XYZ
};

struct FeatureSpec {
  std::int64_t encoder_channels = 0;  // of cls and encoder tokens
  std::int64_t decoder_channels = 0;  // of decoder tokens
  Size3 mask_cell{16, 16, 16};        // voxels; the finest mask the network can take
  bool drops_masked = false;          // masked tokens are left out, not seen as zeros
};

// How MONAI builds the network whose state dict ours is. Empty where MONAI has none.
struct MonaiForm {
  std::string network;    // class in monai.networks.nets: "SwinUNETR"
  std::string arguments;  // of its constructor, JSON object
  std::string own;        // prefix of parameters that MONAI's network lacks ("pretrain_decoder.")
};

class Backbone : public torch::nn::Module {
 public:
  // Sides must suit the network (checked at construction).
  virtual Features run(const View& view, Want want) = 0;
  virtual FeatureSpec spec() const = 0;
  virtual MonaiForm monai() const { return {}; }
  // Trained tables with one vector per token, by parameter name, and the grid of the tokens: other
  // crops need them resampled.
  virtual std::map<std::string, Size3> position_tables() const { return {}; }
  // Of these the ones that are fixed sines (blocks/position_table.h): with other numbers it is
  // another network.
  virtual bool has_sine_positions(const std::string& table) const { return (void)table, false; }
  // Names (prefixes) of parameters that belong to the exported encoder.
  virtual bool is_encoder_parameter(const std::string& name) const = 0;
  // Whether a parameter takes part in run(image, want) and is trained; others get no gradient.
  virtual bool is_used(const std::string& name, Want want) const {
    return (void)name, (void)want, true;
  }
  // Shows intermediate results by the name of the module that gave them ("swinViT.2", "layer3").
  using Tap = std::function<void(const std::string& name, const torch::Tensor& value)>;
  void set_tap(Tap tap) { tap_ = std::move(tap); }
  // Randomness (stochastic depth) of the training passes that follow, one key per row of the batch.
  void set_draws(model::RowDraws draws) { draws_ = std::move(draws); }
  // When branches are dropped at random (stochastic depth), whatever else the mode decides.
  enum class DropPath { InTraining, Always, Never };
  void set_drop_path(DropPath when) { drop_path_ = when; }
  // Whether the training passes that follow keep what is inside their blocks for backward.
  void set_activations(model::Activations which) { activations_ = which; }

 protected:
  bool drops_paths() const {
    return drop_path_ == DropPath::InTraining ? is_training() : drop_path_ == DropPath::Always;
  }
  const model::RowDraws& draws() const { return draws_; }
  model::Activations activations() const { return activations_; }
  void show(const std::string& name, const torch::Tensor& value) const {
    if (tap_) tap_(name, value);
  }
  bool is_watched() const { return tap_ != nullptr; }

 private:
  Tap tap_;
  model::RowDraws draws_;
  DropPath drop_path_ = DropPath::InTraining;
  model::Activations activations_ = model::Activations::Kept;
};

}  // namespace homolog::backbone

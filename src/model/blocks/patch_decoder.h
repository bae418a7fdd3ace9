// The decoder of masked pre-training on patches (MAE, He et al. 2022): tokens of the visible
// patches and one mask token for each other, fixed positions, a few blocks, a norm; then a linear
// prediction of each patch's voxels. MONAI has none; parameter names are ours.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>

#include <map>
#include <vector>

#include "model/backbone.h"
#include "model/blocks/transformer.h"
#include "model/blocks/visible_patches.h"

namespace homolog::model {

struct PatchDecoderPlan {
  std::int64_t width = 512, layers = 8, heads = 16;
};

class PatchDecoderImpl : public torch::nn::Module {
 public:
  PatchDecoderImpl(const PatchDecoderPlan& plan, std::int64_t encoder_width, std::int64_t patch);

  // Encoder tokens of the visible patches (after `leading` others, the class token: it goes along
  // without position and is left out of the result) -> (B, L, width), one token a patch.
  at::Tensor forward(const at::Tensor& encoded_BNC, std::int64_t leading,
                     const VisiblePatches& visible, const backbone::Size3& grid,
                     Activations activations = Activations::Kept);
  // Those tokens -> voxels, each patch in its place: (B, 1, X, Y, Z).
  at::Tensor predict(const at::Tensor& tokens_BLC, const backbone::Size3& grid);

 private:
  const at::Tensor& positions_1LC(const backbone::Size3& grid, const at::Tensor& like);

  std::int64_t patch_, width_;
  torch::nn::Linear embed_{nullptr}, prediction_{nullptr};
  at::Tensor mask_token_11C_;
  std::vector<TransformerBlock> blocks_;
  torch::nn::LayerNorm norm_{nullptr};
  at::Tensor positions_1LC_;  // of the last grid seen; not saved
  backbone::Size3 positions_grid_{};
};
TORCH_MODULE(PatchDecoder);

// Voxels of each patch, (B, L, patch^3) with the last axis fastest -> (B, 1, X, Y, Z).
at::Tensor unpatchify(const at::Tensor& voxels_BLV, const backbone::Size3& grid,
                      std::int64_t patch);

}  // namespace homolog::model

// ViT (MONAI 1.6.1's state dict) trained as in Fig. 2 (method.md 3.7): masked patches never enter
// the encoder; a decoder of our own, as MAE's, puts mask tokens in their places and predicts
// voxels.
#pragma once

#include <map>
#include <string>

#include "base/options.h"
#include "model/backbone.h"
#include "model/blocks/patch_decoder.h"
#include "model/blocks/transformer.h"

namespace homolog::model::vit {

struct Plan {
  TransformerPlan encoder{};
  PatchDecoderPlan decoder{};  // width 0: none, for classification alone
  std::int64_t classes = 0;    // 0: no classification head; else a class token is needed
  bool tanh = true;            // after the classification head
};

void declare(Options& options, Plan& plan);  // "model.vit.*"

// Taps: "patch_embedding", "hidden.3" (a block's output), "norm", "classification_head".
class Vit final : public backbone::Backbone {
 public:
  // Throws Fault::Usage: crop sides that are no multiples of the patch, heads that do not divide
  // their width, a classification head without class token.
  Vit(const Plan& plan, const backbone::Size3& crop);

  // Masks are of whole patches, as many in every row as visible_share says. Throws Fault::Usage for
  // a share of no whole number of patches and, where the mask is on the host, for finer masks and
  // other counts; on a device, looking would stall it.
  backbone::Features run(const backbone::View& view, backbone::Want want) override;
  // Class scores (B, classes) of a whole image. Throws Fault::Usage without a head.
  at::Tensor classify(const at::Tensor& image_B1XYZ);

  backbone::FeatureSpec spec() const override;
  backbone::MonaiForm monai() const override;
  bool is_encoder_parameter(const std::string& name) const override;
  bool is_used(const std::string& name, backbone::Want want) const override;
  std::map<std::string, backbone::Size3> position_tables() const override {
    return {{"patch_embedding.position_embeddings", encoder_.table_grid()}};
  }
  bool has_sine_positions(const std::string& /*table*/) const override {
    return plan_.encoder.positions == "sincos";
  }

 private:
  at::Tensor encode(const at::Tensor& tokens_BLC);

  Plan plan_;
  Transformer encoder_;
  PatchDecoder decoder_{nullptr};
  torch::nn::Linear class_head_{nullptr};
};

}  // namespace homolog::model::vit

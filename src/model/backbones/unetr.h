// UNETR (MONAI 1.6.1's state dict): a ViT of patches of 16 voxels whose states at four depths feed
// a convolutional decoder. Its skips are dense maps, so masked voxels are zeros here, not left out.
#pragma once

#include <map>
#include <string>

#include "base/options.h"
#include "model/backbone.h"
#include "model/blocks/conv_blocks.h"
#include "model/blocks/transformer.h"

namespace homolog::model::unetr {

struct Plan {
  TransformerPlan encoder{};  // patch 16 and 12 layers, as MONAI's
  std::int64_t feature = 16;  // channels at full resolution; doubled at each level down
  std::int64_t outputs = 1;   // of the output layer; pre-training rebuilds one channel
  bool res_block = true, conv_block = true;
};

void declare(Options& options, Plan& plan);  // "model.unetr.*"

// Taps: "vit.0" (the normalised tokens), "vit.4" (output of block 3), "encoder1".."encoder4",
// "decoder5".."decoder2", "out".
class Unetr final : public backbone::Backbone {
 public:
  // Throws Fault::Usage: crop sides that are no multiples of 16, heads that do not divide the
  // width.
  Unetr(const Plan& plan, const backbone::Size3& crop);

  backbone::Features run(const backbone::View& view, backbone::Want want) override;
  backbone::FeatureSpec spec() const override;
  backbone::MonaiForm monai() const override;
  bool is_encoder_parameter(const std::string& name) const override;
  bool is_used(const std::string& name, backbone::Want want) const override;
  std::map<std::string, backbone::Size3> position_tables() const override {
    return {{"vit.patch_embedding.position_embeddings", encoder_.table_grid()}};
  }

 private:
  struct States {  // maps (B, C, X/16, Y/16, Z/16)
    at::Tensor after3, after6, after9, last;
  };
  States encode(const at::Tensor& image_B1XYZ, backbone::Features& out);
  at::Tensor seen(const std::string& name, const at::Tensor& value) const;

  Plan plan_;
  std::shared_ptr<torch::nn::Module> vit_;
  Transformer encoder_;
  UnetrBasicBlock encoder1_{nullptr};
  UnetrPrUpBlock encoder2_{nullptr}, encoder3_{nullptr}, encoder4_{nullptr};
  UnetrUpBlock decoder5_{nullptr}, decoder4_{nullptr}, decoder3_{nullptr}, decoder2_{nullptr};
  UnetOutBlock out_{nullptr};
};

}  // namespace homolog::model::unetr

// Swin UNETR: a Swin transformer and a convolutional decoder (method.md 3.7), 1:1 with MONAI's
// SwinUNETR in values and names of the state dict.
#pragma once

#include <torch/nn/modules/conv.h>

#include <string>
#include <vector>

#include "base/options.h"
#include "model/backbone.h"
#include "model/blocks/conv_blocks.h"
#include "model/blocks/swin_blocks.h"

namespace homolog::model::swin {

using backbone::Size3;
constexpr std::int64_t kStages = 4;

struct Plan {
  std::int64_t feature = 48;                      // channels after the patch embedding
  std::vector<std::int64_t> depths{2, 2, 2, 2};   // blocks per stage
  std::vector<std::int64_t> heads{3, 6, 12, 24};  // per stage
  std::int64_t window = 7;                        // tokens a side
  bool use_v2 = false;                            // a residual convolution block before each stage
  std::string norm = "instance";                  // of the convolutions: instance | group (of 8)
  double drop_path = 0;                           // of the last block; linear from 0
  std::int64_t inputs = 1, outputs = 1;           // image channels; not options
};

void declare(Options& options, Plan& plan);  // "model.swin_unetr.*"

// Taps: "swinViT.0" (patch embedding) to "swinViT.4" (hidden states, normed), "encoder1" to
// "encoder4", "encoder10", "decoder5" to "decoder1", "out"; all (B, C, X, Y, Z).
class SwinUnetr final : public backbone::Backbone {
 public:
  // Throws Fault::Usage: crop sides that are no multiples of 32, a crop of 32x32x32 with instance
  // norms, lists that are not of length 4, heads that do not divide the channels, a width that 12
  // (with group norms 24) does not divide.
  SwinUnetr(const Plan& plan, const Size3& crop);

  // Throws Fault::Usage as the constructor for an image that does not fit.
  backbone::Features run(const backbone::View& view, backbone::Want want) override;
  backbone::FeatureSpec spec() const override;
  backbone::MonaiForm monai() const override;
  bool is_encoder_parameter(const std::string& name) const override;
  bool is_used(const std::string& name, backbone::Want want) const override;

 private:
  void check_sides(const Size3& sides) const;
  Groups groups() const;
  struct Hidden {
    at::Tensor tokens_BLC;
    Size3 grid{};
  };
  void build_transformer();
  void build_convolutions();
  std::vector<Hidden> encode(const at::Tensor& image_BCXYZ, const at::Tensor& keep_LB);
  at::Tensor normed_map(const std::vector<Hidden>& hidden, std::size_t level) const;
  at::Tensor reconstruct(const at::Tensor& image_BCXYZ, const std::vector<Hidden>& hidden,
                         at::Tensor decoded_BCXYZ);

  Plan plan_;
  torch::nn::Conv3d patch_embed_{nullptr};
  std::vector<UnetrBasicBlock> before_;  // of each stage; empty without use_v2
  std::vector<Stage> stages_;
  UnetrBasicBlock image_encoder_{nullptr};      // encoder1
  std::vector<UnetrBasicBlock> skip_encoders_;  // encoder2, 3, 4
  UnetrBasicBlock deep_encoder_{nullptr};       // encoder10
  std::vector<UnetrUpBlock> decoders_;          // decoder5, 4, 3, 2, 1
  UnetOutBlock out_{nullptr};
  std::vector<double> drop_L_;  // two entries a block: attention, MLP
};

}  // namespace homolog::model::swin

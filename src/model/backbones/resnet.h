// 3D ResNet (He et al. 2016, as MONAI 1.6.1's monai.networks.nets.ResNet builds it: first
// convolution with stride 1, shortcuts by convolution), whose state dict has the same names, and a
// U-shaped decoder of our own under "pretrain_decoder." that pre-training needs and export leaves.
#pragma once

#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <array>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/backbone.h"
#include "model/blocks/conv3d.h"
#include "model/blocks/conv_blocks.h"
#include "model/blocks/resnet_depths.h"

namespace homolog::model::resnet {

struct Plan {
  std::int64_t depth = 18;      // 10, 18, 34 of plain blocks; 50, 101, 152, 200 of bottlenecks
  std::string norm = "batch";   // or "instance" (with weights): rows apart, MONAI has no such form
  bool bias_downsample = true;  // of the convolutions in shortcuts
  // Not options, pre-training has one and none of them:
  std::int64_t classes = 0;  // outputs of a layer behind the average pool; 0: no such layer
  std::int64_t inputs = 1;   // channels of the image
};

void declare(Options& options, Plan& plan);  // "model.resnet.*"

// Two 3x3x3 convolutions, or 1, 3, 1 with four times the width behind ("bottleneck").
class BlockImpl : public torch::nn::Module {
 public:
  BlockImpl(const Plan& plan, std::int64_t in, std::int64_t width, std::int64_t stride);
  at::Tensor forward(const at::Tensor& x_BCXYZ);

 private:
  std::vector<Conv3d> convs_;
  std::vector<torch::nn::AnyModule> norms_;
  Conv3d shortcut_{nullptr};  // empty: the input itself
  torch::nn::AnyModule shortcut_norm_;
};
TORCH_MODULE(Block);

// From the deepest map up to full resolution: at each level a lateral 1x1x1 convolution thins the
// encoder's map, an up block joins it. Level 0 is 1/8 of the image, level 3 all of it.
class DecoderImpl : public torch::nn::Module {
 public:
  // Per voxel of the image 67,000 multiplications, ResNet-18 itself takes 120,000.
  static constexpr std::array<std::int64_t, kLayers> kWidths{256, 128, 32, 16};
  DecoderImpl(std::int64_t deepest, const std::array<std::int64_t, kLayers>& skips);
  at::Tensor level(std::size_t level, const at::Tensor& below_BCXYZ, const at::Tensor& skip_BCXYZ,
                   Activations activations);
  at::Tensor image(const at::Tensor& map_BCXYZ) { return out_(map_BCXYZ); }

 private:
  std::vector<ConvLayer> laterals_;
  std::vector<UnetrUpBlock> ups_;
  UnetOutBlock out_{nullptr};
};
TORCH_MODULE(Decoder);

// Taps, by MONAI's module names: "conv1", "bn1", "act", "maxpool", "layer1".."layer4", "avgpool",
// "fc".
class ResNet final : public backbone::Backbone {
 public:
  // Throws Fault::Usage: crop sides that are no multiples of 16, a deepest map of one voxel, an
  // unknown depth.
  ResNet(const Plan& plan, const backbone::Size3& crop);

  backbone::Features run(const backbone::View& view, backbone::Want want) override;
  // (B, classes), the logits of MONAI's forward on a whole image of any size. REQUIRES:
  // plan.classes > 0.
  at::Tensor classify(const at::Tensor& image_B1XYZ);
  backbone::FeatureSpec spec() const override;
  backbone::MonaiForm monai() const override;
  bool is_encoder_parameter(const std::string& name) const override;
  bool is_used(const std::string& name, backbone::Want want) const override;

 private:
  using Maps = std::array<at::Tensor, kLayers + 1>;  // full size, 1/2, 1/4, 1/8, 1/16
  void build_layers();
  Maps encode(const at::Tensor& image_B1XYZ);
  at::Tensor stem(const at::Tensor& image_B1XYZ);      // (B, 64, X, Y, Z), after the activation
  at::Tensor pool(const at::Tensor& map_BCXYZ) const;  // (B, C)

  Plan plan_;
  Conv3d conv1_{nullptr};
  torch::nn::AnyModule bn1_;
  std::array<std::vector<Block>, kLayers> layers_;
  torch::nn::Linear fc_{nullptr};
  Decoder decoder_{nullptr};
};

}  // namespace homolog::model::resnet

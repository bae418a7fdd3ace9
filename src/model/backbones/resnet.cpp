// See resnet.h. Activations and sums work in place on a norm's output, which no backward pass needs
// again: at full resolution each map that is kept costs as much as the image times 64.
#include "model/backbones/resnet.h"

#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/instancenorm.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/error.h"
#include "model/backbone_entry.h"
#include "model/blocks/max_pool.h"
#include "model/blocks/tokens.h"
#include "model/weights/resnet_names.h"

namespace homolog::model::resnet {
namespace {

constexpr std::array<std::int64_t, kLayers> kWidths{64, 128, 256, 512};
constexpr std::int64_t kStem = 64, kDeepest = 16;  // channels; voxels of the crop per deepest one

const Depth& depth_of(std::int64_t depth) {
  const auto* found = std::find_if(kDepths.begin(), kDepths.end(),
                                   [&](const Depth& d) { return d.depth == depth; });
  if (found != kDepths.end()) return *found;
  std::string all;
  for (const Depth& d : kDepths) all += (all.empty() ? "" : ", ") + std::to_string(d.depth);
  throw Error(Fault::Usage, "model.resnet.depth: there is no ResNet-" + std::to_string(depth),
              "choose from " + all);
}

std::int64_t expansion(const Plan& plan) { return depth_of(plan.depth).bottleneck ? 4 : 1; }

void check(const backbone::Size3& crop) {
  std::int64_t voxels = 1;
  for (const std::int64_t side : crop) {
    if (side < kDeepest || side % kDeepest != 0) {
      throw Error(Fault::Usage,
                  "resnet: a crop side of " + std::to_string(side) + " voxels is no multiple of 16",
                  "choose crop sides from 16, 32, 48, 64, ...");
    }
    voxels *= side / kDeepest;
  }
  if (voxels == 1) {
    throw Error(Fault::Usage, "resnet: crops of 16x16x16 voxels end in a map of one voxel",
                "make one side at least 32 voxels");
  }
}

backbone::Size3 sides_of(const at::Tensor& image_B1XYZ) {
  return {image_B1XYZ.size(2), image_B1XYZ.size(3), image_B1XYZ.size(4)};
}

Conv3d conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
            bool bias = false) {
  Conv3d made(
      torch::nn::Conv3dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(bias));
  torch::nn::init::kaiming_normal_(made->weight, 0, torch::kFanOut, torch::kReLU);
  return made;
}

// Either norm has its parameters under the same names; the batch norm has buffers beside them.
torch::nn::AnyModule norm(const Plan& plan, std::int64_t channels) {
  if (plan.norm == "batch") return torch::nn::AnyModule(torch::nn::BatchNorm3d(channels));
  return torch::nn::AnyModule(
      torch::nn::InstanceNorm3d(torch::nn::InstanceNorm3dOptions(channels).affine(true)));
}

std::string layer_name(std::size_t layer) { return "layer" + std::to_string(layer + 1); }

}  // namespace

void declare(Options& o, Plan& p) {
  o.add("model.resnet.depth", p.depth, "layers: 10, 18, 34, 50, 101, 152 or 200",
        {.min = 10, .max = 200});
  o.add("model.resnet.norm", p.norm,
        "batch: as MONAI, each worker by its own batch; instance: each row by itself",
        {.choices = {"batch", "instance"}});
  o.add(
      "model.resnet.bias_downsample", p.bias_downsample,
      "bias in the shortcuts' convolutions (MedicalNet's weights of depth 10, 50 and more: none)");
}

BlockImpl::BlockImpl(const Plan& plan, std::int64_t in, std::int64_t width, std::int64_t stride) {
  const auto add = [&](std::int64_t from, std::int64_t to, std::int64_t kernel, std::int64_t step) {
    const std::string number = std::to_string(convs_.size() + 1);
    convs_.push_back(register_module("conv" + number, conv(from, to, kernel, step)));
    norms_.push_back(norm(plan, to));
    register_module("bn" + number, norms_.back().ptr());
  };
  const std::int64_t out = width * expansion(plan);
  if (out == width) {
    add(in, width, 3, stride);
    add(width, width, 3, 1);
  } else {
    add(in, width, 1, 1);
    add(width, width, 3, stride);
    add(width, out, 1, 1);
  }
  if (stride == 1 && in == out) return;
  auto shortcut = register_module("downsample", torch::nn::ModuleList());
  shortcut_ = conv(in, out, 1, stride, plan.bias_downsample);
  shortcut_norm_ = norm(plan, out);
  shortcut->push_back(shortcut_);
  shortcut->push_back(shortcut_norm_.ptr());
}

at::Tensor BlockImpl::forward(const at::Tensor& x_BCXYZ) {
  at::Tensor y_BCXYZ = x_BCXYZ;
  for (std::size_t i = 0; i < convs_.size(); ++i) {
    y_BCXYZ = norms_[i].forward(convs_[i](y_BCXYZ));
    if (i + 1 < convs_.size()) at::relu_(y_BCXYZ);
  }
  y_BCXYZ.add_(shortcut_.is_empty() ? x_BCXYZ : shortcut_norm_.forward(shortcut_(x_BCXYZ)));
  return at::relu_(y_BCXYZ);
}

ResNet::ResNet(const Plan& plan, const backbone::Size3& crop) : plan_(plan) {
  check(crop);
  conv1_ = register_module("conv1", conv(plan_.inputs, kStem, 7, 1));
  bn1_ = norm(plan_, kStem);
  register_module("bn1", bn1_.ptr());
  build_layers();
  const std::int64_t times = expansion(plan_);
  if (plan_.classes > 0) {
    fc_ = register_module("fc", torch::nn::Linear(kWidths.back() * times, plan_.classes));
    torch::nn::init::zeros_(fc_->bias);
  }
  decoder_ = register_module("pretrain_decoder",
                             Decoder(kWidths[3] * times, std::array<std::int64_t, kLayers>{
                                                             kWidths[2] * times, kWidths[1] * times,
                                                             kWidths[0] * times, kStem}));
}

void ResNet::build_layers() {
  std::int64_t in = kStem;
  for (std::size_t l = 0; l < kLayers; ++l) {
    auto layer = register_module(layer_name(l), torch::nn::ModuleList());
    for (std::int64_t b = 0; b < depth_of(plan_.depth).blocks.at(l); ++b) {
      layers_.at(l).emplace_back(plan_, in, kWidths.at(l), l > 0 && b == 0 ? 2 : 1);
      layer->push_back(layers_.at(l).back());
      in = kWidths.at(l) * expansion(plan_);
    }
  }
}

at::Tensor ResNet::stem(const at::Tensor& image_B1XYZ) {
  if (activations() == Activations::Recomputed && !is_watched()) {
    return recompute({conv1_.ptr(), bn1_.ptr()}, {image_B1XYZ},
                     [conv = conv1_, norm = bn1_](const Tensors& images) mutable {
                       at::Tensor map_BCXYZ = norm.forward(conv(images[0]));
                       return at::relu_(map_BCXYZ);
                     });
  }
  at::Tensor map_BCXYZ = conv1_(image_B1XYZ);
  show("conv1", map_BCXYZ);
  map_BCXYZ = bn1_.forward(map_BCXYZ);
  show("bn1", map_BCXYZ);
  return is_watched() ? at::relu(map_BCXYZ) : at::relu_(map_BCXYZ);
}

ResNet::Maps ResNet::encode(const at::Tensor& image_B1XYZ) {
  Maps maps;
  maps[0] = stem(image_B1XYZ);
  show("act", maps[0]);
  at::Tensor map_BCXYZ = max_pool(maps[0], {3, 3, 3}, {2, 2, 2}, {1, 1, 1});
  show("maxpool", map_BCXYZ);
  for (std::size_t l = 0; l < kLayers; ++l) {
    for (Block& block : layers_.at(l)) map_BCXYZ = run_block(activations(), block, map_BCXYZ);
    show(layer_name(l), map_BCXYZ);
    maps.at(l + 1) = map_BCXYZ;
  }
  return maps;
}

at::Tensor ResNet::pool(const at::Tensor& map_BCXYZ) const {
  const at::Tensor mean_BC111 = map_BCXYZ.mean({2, 3, 4}, /*keepdim=*/true);
  show("avgpool", mean_BC111);
  return mean_BC111.flatten(1);
}

backbone::Features ResNet::run(const backbone::View& view, backbone::Want want) {
  const Maps maps = encode(view.seen_B1XYZ());
  backbone::Features out;
  out.cls_BC = pool(maps.back());
  out.encoder_BLC = map_to_tokens(maps.back());
  if (!want.decoder && !want.reconstruction) return out;
  check(sides_of(view.image_B1XYZ));  // what the skips need
  at::Tensor map_BCXYZ = decoder_->level(0, maps[4], maps[3], activations());
  if (want.decoder) out.decoder_BLC = map_to_tokens(map_BCXYZ);
  if (!want.reconstruction) return out;
  for (std::size_t l = 1; l < kLayers; ++l)
    map_BCXYZ = decoder_->level(l, map_BCXYZ, maps.at(kLayers - 1 - l), activations());
  out.reconstruction_B1XYZ = decoder_->image(map_BCXYZ);
  return out;
}

at::Tensor ResNet::classify(const at::Tensor& image_B1XYZ) {
  if (fc_.is_empty()) throw std::logic_error("this ResNet has no classification layer");
  const at::Tensor logits_BK = fc_(pool(encode(image_B1XYZ).back()));
  show("fc", logits_BK);
  return logits_BK;
}

backbone::FeatureSpec ResNet::spec() const {
  return {.encoder_channels = kWidths.back() * expansion(plan_),
          .decoder_channels = DecoderImpl::kWidths[0]};
}

backbone::MonaiForm ResNet::monai() const {
  if (plan_.norm != "batch") return {};
  const Depth& shape = depth_of(plan_.depth);
  nlohmann::ordered_json arguments{{"block", shape.bottleneck ? "bottleneck" : "basic"},
                                   {"layers", shape.blocks},
                                   {"block_inplanes", kWidths},
                                   {"spatial_dims", 3},
                                   {"n_input_channels", plan_.inputs},
                                   {"feed_forward", plan_.classes > 0},
                                   {"bias_downsample", plan_.bias_downsample}};
  if (plan_.classes > 0) arguments["num_classes"] = plan_.classes;
  return {"ResNet", arguments.dump(), "pretrain_decoder."};
}

bool ResNet::is_encoder_parameter(const std::string& name) const {
  return !name.starts_with("pretrain_decoder.") && !name.starts_with("fc.");
}

bool ResNet::is_used(const std::string& name, backbone::Want want) const {
  if (name.starts_with("fc.")) return false;
  if (!name.starts_with("pretrain_decoder.")) return true;
  const bool first = name.starts_with("pretrain_decoder.laterals.0.") ||
                     name.starts_with("pretrain_decoder.ups.0.");
  return want.reconstruction || (first && want.decoder);
}

}  // namespace homolog::model::resnet

namespace homolog::backbone::resnet {
namespace {

class ResNetFactory final : public Factory {
 public:
  void declare(Options& options) override { model::resnet::declare(options, plan_); }
  std::shared_ptr<Backbone> make(const Size3& crop) const override {
    return std::make_shared<model::resnet::ResNet>(plan_, crop);
  }
  std::optional<Recognised> recognise(const NamedTensors& tensors) const override {
    return model::resnet::recognise(tensors);
  }

 private:
  model::resnet::Plan plan_;
};

}  // namespace

extern const Entry entry;
const Entry entry{"resnet",
                  "3D ResNet as MONAI's, with a U-shaped decoder; crop sides are multiples of 16",
                  []() -> std::unique_ptr<Factory> { return std::make_unique<ResNetFactory>(); }};

}  // namespace homolog::backbone::resnet

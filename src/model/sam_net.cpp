#include "model/sam_net.h"

#include <torch/nn/functional/normalization.h>
#include <torch/nn/functional/upsampling.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/batchnorm.h>

#include <array>

#include "base/error.h"
#include "model/blocks/conv3d.h"
#include "model/blocks/max_pool.h"
#include "model/precision.h"

namespace homolog::model {
namespace {

namespace F = torch::nn::functional;
using Triple = std::array<std::int64_t, 3>;  // z, y, x

torch::ExpandingArray<3> expand(const Triple& t) { return {{t[0], t[1], t[2]}}; }

// Convolution that keeps size / stride, with batch norm (then without a bias) or without.
class Unit : public torch::nn::Module {
 public:
  Unit(std::int64_t in, std::int64_t out, Triple kernel, Triple stride, bool normed) {
    const Triple pad = {kernel[0] / 2, kernel[1] / 2, kernel[2] / 2};
    conv_ = register_module("conv", Conv3d(torch::nn::Conv3dOptions(in, out, expand(kernel))
                                               .stride(expand(stride))
                                               .padding(expand(pad))
                                               .bias(!normed)));
    if (normed) {
      torch::nn::init::kaiming_normal_(conv_->weight, 0, torch::kFanOut, torch::kReLU);
      bn_ = register_module("bn", torch::nn::BatchNorm3d(out));
    } else {
      torch::nn::init::xavier_uniform_(conv_->weight);
      torch::nn::init::zeros_(conv_->bias);
    }
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor y = conv_->forward(x);
    return bn_.is_empty() ? y : bn_->forward(y);
  }

 private:
  Conv3d conv_{nullptr};
  torch::nn::BatchNorm3d bn_{nullptr};
};

class BasicBlock : public torch::nn::Module {
 public:
  BasicBlock(std::int64_t in, std::int64_t out, Triple kernel, Triple stride, bool shortcut) {
    conv1_ = register_module("conv1", std::make_shared<Unit>(in, out, kernel, stride, true));
    conv2_ =
        register_module("conv2", std::make_shared<Unit>(out, out, kernel, Triple{1, 1, 1}, true));
    if (shortcut) {
      downsample_ = register_module("downsample",
                                    std::make_shared<Unit>(in, out, Triple{1, 1, 1}, stride, true));
    }
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor y = conv2_->forward(torch::relu(conv1_->forward(x)));
    return torch::relu(y + (downsample_ ? downsample_->forward(x) : x));
  }

 private:
  std::shared_ptr<Unit> conv1_, conv2_, downsample_;
};

class Stage : public torch::nn::Module {  // two blocks, the first one strided
 public:
  Stage(std::int64_t in, std::int64_t out, Triple kernel, Triple stride) {
    first_ = register_module("0", std::make_shared<BasicBlock>(in, out, kernel, stride, true));
    second_ = register_module(
        "1", std::make_shared<BasicBlock>(out, out, kernel, Triple{1, 1, 1}, false));
  }
  torch::Tensor forward(const torch::Tensor& x, Activations activations) {
    return run_block(activations, second_, run_block(activations, first_, x));
  }

 private:
  std::shared_ptr<BasicBlock> first_, second_;
};

// Lateral 1x1x1 convolutions, top-down nearest up-sampling, one 3x3x3 convolution on the finest.
class Pyramid : public torch::nn::Module {
 public:
  Pyramid(const std::vector<std::int64_t>& in, std::int64_t out) {
    const auto laterals = register_module("lateral_convs", std::make_shared<torch::nn::Module>());
    const auto convs = register_module("fpn_convs", std::make_shared<torch::nn::Module>());
    for (std::size_t i = 0; i < in.size(); ++i) {
      laterals_.push_back(laterals->register_module(
          std::to_string(i),
          std::make_shared<Unit>(in[i], out, Triple{1, 1, 1}, Triple{1, 1, 1}, false)));
    }
    final_ = convs->register_module(
        "0", std::make_shared<Unit>(out, out, Triple{3, 3, 3}, Triple{1, 1, 1}, false));
  }
  torch::Tensor forward(const std::vector<torch::Tensor>& maps) {  // finest first
    torch::Tensor sum = laterals_.back()->forward(maps.back());
    for (std::size_t i = maps.size() - 1; i-- > 0;) {
      const torch::Tensor finer = laterals_[i]->forward(maps[i]);
      const auto size = finer.sizes().slice(2).vec();
      sum =
          finer + F::interpolate(sum, F::InterpolateFuncOptions().size(size).mode(torch::kNearest));
    }
    return final_->forward(sum);
  }

 private:
  std::vector<std::shared_ptr<Unit>> laterals_;
  std::shared_ptr<Unit> final_;
};

class Encoder : public torch::nn::Module {
 public:
  explicit Encoder(const SamNetPlan& plan) {
    const std::int64_t w = plan.width;
    const Triple flat{1, 3, 3}, cube{3, 3, 3}, in_plane{1, 2, 2};
    const Triple stem{plan.stem_kernel[0], plan.stem_kernel[1], plan.stem_kernel[2]};
    const std::int64_t last = plan.coarse_stride[1] / 8;
    stem_ = register_module("conv1", std::make_shared<Unit>(1, w, stem, Triple{1, 1, 1}, true));
    layer1_ = register_module("layer1", std::make_shared<Stage>(w, w, flat, in_plane));
    layer2_ = register_module("layer2", std::make_shared<Stage>(w, 2 * w, flat, in_plane));
    layer3_ = register_module("layer3", std::make_shared<Stage>(2 * w, 4 * w, cube, in_plane));
    layer4_ = register_module("layer4",
                              std::make_shared<Stage>(4 * w, 8 * w, cube, Triple{2, last, last}));
  }
  SamStages forward(const torch::Tensor& image_B1ZYX, Activations activations) {
    SamStages s;
    const torch::Tensor stem = run_block(activations, stem_, image_B1ZYX);
    s.c1 = layer1_->forward(torch::relu(stem), activations);
    s.c1 = max_pool(s.c1, {2, 1, 1}, {2, 1, 1}, {0, 0, 0});
    s.c2 = layer2_->forward(s.c1, activations);
    s.c3 = layer3_->forward(s.c2, activations);
    s.c4 = layer4_->forward(s.c3, activations);
    return s;
  }

 private:
  std::shared_ptr<Unit> stem_;
  std::shared_ptr<Stage> layer1_, layer2_, layer3_, layer4_;
};

}  // namespace

struct SamNet::Parts {
  std::shared_ptr<Encoder> backbone;
  std::shared_ptr<Pyramid> neck, read_out_head;
};

SamNet::SamNet(const SamNetPlan& plan) : plan_(plan), parts_(std::make_unique<Parts>()) {
  validate(plan);
  const std::int64_t w = plan.width;
  parts_->backbone = register_module("backbone", std::make_shared<Encoder>(plan));
  parts_->neck = register_module(
      "neck",
      std::make_shared<Pyramid>(std::vector<std::int64_t>{w, 2 * w, 4 * w}, plan.embedding));
  parts_->read_out_head = register_module(
      "read_out_head", std::make_shared<Pyramid>(std::vector<std::int64_t>{8 * w}, plan.embedding));
}

SamNet::~SamNet() = default;

SamStages SamNet::stages(const torch::Tensor& image_B1ZYX) {
  return parts_->backbone->forward(image_B1ZYX, activations_);
}

SamMaps SamNet::read_out(const SamStages& s) {
  return {parts_->neck->forward({s.c1, s.c2, s.c3}), parts_->read_out_head->forward({s.c4})};
}

SamMaps SamNet::forward(const torch::Tensor& image_B1ZYX) {
  const SamMaps raw = read_out(stages(image_B1ZYX));
  const auto unit = F::NormalizeFuncOptions().dim(1);
  return {F::normalize(wide(raw.fine_BCZYX), unit), F::normalize(wide(raw.coarse_BCZYX), unit)};
}

}  // namespace homolog::model

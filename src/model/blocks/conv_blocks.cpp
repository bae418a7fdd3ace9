// See conv_blocks.h. Norms, sums and activations work in the memory of the convolution's result,
// which backward does not need: where norm_activation.h serves, no map but the output is kept,
// elsewhere torch's norm keeps its input beside it.
#include "model/blocks/conv_blocks.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>

#include "base/error.h"
#include "model/blocks/norm_activation.h"

namespace homolog::model {
namespace {

constexpr double kSlope = 0.01, kEpsilon = 1e-5;

void require_voxels(const at::Tensor& x_BCXYZ) {
  if (x_BCXYZ.size(2) * x_BCXYZ.size(3) * x_BCXYZ.size(4) < 2)
    throw Error(Fault::Usage, "an instance norm met a map of one voxel", "use larger crops");
}

// Rows and channels as the channels of one row: a batch norm of that is the instance norm.
at::Tensor as_channels(const at::Tensor& x_BCXYZ) {
  require_voxels(x_BCXYZ);
  return x_BCXYZ.reshape(
      {1, x_BCXYZ.size(0) * x_BCXYZ.size(1), x_BCXYZ.size(2), x_BCXYZ.size(3), x_BCXYZ.size(4)});
}

at::Tensor norm_channels(const at::Tensor& x_1NXYZ) {
  return at::batch_norm(x_1NXYZ, {}, {}, {}, {}, /*training=*/true, /*momentum=*/0, kEpsilon,
                        /*cudnn_enabled=*/true);
}

// In x's memory where that is possible.
at::Tensor norm(const at::Tensor& x_BCXYZ, torch::nn::GroupNorm& groups) {
  if (!groups.is_empty()) return groups(x_BCXYZ);
  require_voxels(x_BCXYZ);
  if (const auto y_BCXYZ = norm_activation(x_BCXYZ, {}, /*slope=*/1)) return *y_BCXYZ;
  return instance_norm(x_BCXYZ);
}

// The norm of x, plus a shortcut where there is one, through the leaky ReLU; one map for all three.
at::Tensor norm_and_activate(const at::Tensor& x_BCXYZ, torch::nn::GroupNorm& groups,
                             const at::Tensor& shortcut_BCXYZ = {}) {
  if (groups.is_empty()) {
    require_voxels(x_BCXYZ);
    if (const auto y_BCXYZ = norm_activation(x_BCXYZ, shortcut_BCXYZ, kSlope)) return *y_BCXYZ;
  }
  at::Tensor y = groups.is_empty() ? norm_channels(as_channels(x_BCXYZ)) : groups(x_BCXYZ);
  if (shortcut_BCXYZ.defined()) y.add_(shortcut_BCXYZ.reshape(y.sizes()));
  return at::leaky_relu_(y, kSlope).view(x_BCXYZ.sizes());
}

}  // namespace

at::Tensor instance_norm(const at::Tensor& x_BCXYZ) {
  return norm_channels(as_channels(x_BCXYZ)).view(x_BCXYZ.sizes());
}

ConvLayerImpl::ConvLayerImpl(std::int64_t in, std::int64_t out, std::int64_t kernel, bool bias) {
  conv_ = register_module(
      "conv", Conv3d(torch::nn::Conv3dOptions(in, out, kernel).padding(kernel / 2).bias(bias)));
}

at::Tensor ConvLayerImpl::forward(const at::Tensor& x_BCXYZ) { return conv_(x_BCXYZ); }

UpConvLayerImpl::UpConvLayerImpl(std::int64_t in, std::int64_t out) {
  conv_ = register_module("conv",
                          torch::nn::ConvTranspose3d(
                              torch::nn::ConvTranspose3dOptions(in, out, 2).stride(2).bias(false)));
}

at::Tensor UpConvLayerImpl::forward(const at::Tensor& x_BCXYZ) { return conv_(x_BCXYZ); }

ConvPairImpl::ConvPairImpl(std::int64_t in, std::int64_t out, bool residual, Groups groups)
    : residual_(residual) {
  conv1_ = register_module("conv1", ConvLayer(in, out, 3));
  conv2_ = register_module("conv2", ConvLayer(out, out, 3));
  if (residual && in != out) conv3_ = register_module("conv3", ConvLayer(in, out, 1));
  if (groups == 0) return;
  const auto options = torch::nn::GroupNormOptions(groups, out).eps(kEpsilon);
  norm1_ = register_module("norm1", torch::nn::GroupNorm(options));
  norm2_ = register_module("norm2", torch::nn::GroupNorm(options));
  if (!conv3_.is_empty()) norm3_ = register_module("norm3", torch::nn::GroupNorm(options));
}

// The shortcut comes first, so that backward comes to it last: its gradient of x, the largest map,
// does not wait beside those of the two convolutions.
at::Tensor ConvPairImpl::forward(const at::Tensor& x_BCXYZ) {
  at::Tensor shortcut_BCXYZ;
  if (residual_) shortcut_BCXYZ = conv3_.is_empty() ? x_BCXYZ : norm(conv3_(x_BCXYZ), norm3_);
  const at::Tensor mid_BCXYZ = conv2_(norm_and_activate(conv1_(x_BCXYZ), norm1_));
  return norm_and_activate(mid_BCXYZ, norm2_, shortcut_BCXYZ);
}

UnetrBasicBlockImpl::UnetrBasicBlockImpl(std::int64_t in, std::int64_t out, bool residual,
                                         Groups groups) {
  layer_ = register_module("layer", ConvPair(in, out, residual, groups));
}

at::Tensor UnetrBasicBlockImpl::forward(const at::Tensor& x_BCXYZ) { return layer_(x_BCXYZ); }

UnetrUpBlockImpl::UnetrUpBlockImpl(std::int64_t in, std::int64_t out, bool residual,
                                   Groups groups) {
  transp_conv_ = register_module("transp_conv", UpConvLayer(in, out));
  conv_block_ = register_module("conv_block", ConvPair(2 * out, out, residual, groups));
}

at::Tensor UnetrUpBlockImpl::forward(const at::Tensor& below_BCXYZ, const at::Tensor& skip_BCXYZ) {
  return conv_block_(at::cat({transp_conv_(below_BCXYZ), skip_BCXYZ}, 1));
}

UnetrPrUpBlockImpl::UnetrPrUpBlockImpl(std::int64_t in, std::int64_t out, std::int64_t layers,
                                       bool conv_block, bool residual) {
  transp_conv_init_ = register_module("transp_conv_init", UpConvLayer(in, out));
  auto blocks = register_module("blocks", torch::nn::ModuleList());
  for (std::int64_t i = 0; i < layers; ++i) {
    ups_.emplace_back(out, out);
    if (!conv_block) {
      blocks->push_back(ups_.back());
      continue;
    }
    pairs_.emplace_back(out, out, residual);
    auto block = std::make_shared<torch::nn::Module>("block");
    block->register_module("0", ups_.back());
    block->register_module("1", pairs_.back());
    blocks->push_back(block);
  }
}

at::Tensor UnetrPrUpBlockImpl::forward(const at::Tensor& x_BCXYZ) {
  at::Tensor y_BCXYZ = transp_conv_init_(x_BCXYZ);
  for (std::size_t i = 0; i < ups_.size(); ++i) {
    y_BCXYZ = ups_[i](y_BCXYZ);
    if (!pairs_.empty()) y_BCXYZ = pairs_[i](y_BCXYZ);
  }
  return y_BCXYZ;
}

UnetOutBlockImpl::UnetOutBlockImpl(std::int64_t in, std::int64_t out) {
  conv_ = register_module("conv", ConvLayer(in, out, 1, /*bias=*/true));
}

at::Tensor UnetOutBlockImpl::forward(const at::Tensor& x_BCXYZ) { return conv_(x_BCXYZ); }

}  // namespace homolog::model

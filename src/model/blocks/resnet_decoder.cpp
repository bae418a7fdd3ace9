// The ResNet's decoder (resnet.h): nothing of MONAI's, the same at every depth.
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/types.h>

#include "model/backbones/resnet.h"

namespace homolog::model::resnet {

DecoderImpl::DecoderImpl(std::int64_t deepest, const std::array<std::int64_t, kLayers>& skips) {
  auto laterals = register_module("laterals", torch::nn::ModuleList());
  auto ups = register_module("ups", torch::nn::ModuleList());
  std::int64_t below = deepest;
  for (std::size_t l = 0; l < kLayers; ++l) {
    laterals_.emplace_back(skips.at(l), kWidths.at(l), 1);
    ups_.emplace_back(below, kWidths.at(l));
    laterals->push_back(laterals_.back());
    ups->push_back(ups_.back());
    below = kWidths.at(l);
  }
  out_ = register_module("out", UnetOutBlock(below, 1));
}

at::Tensor DecoderImpl::level(std::size_t level, const at::Tensor& below_BCXYZ,
                              const at::Tensor& skip_BCXYZ, Activations activations) {
  UnetrUpBlock& up = ups_.at(level);
  ConvLayer& lateral = laterals_.at(level);
  if (activations == Activations::Kept) return up(below_BCXYZ, lateral(skip_BCXYZ));
  return recompute(
      {up.ptr(), lateral.ptr()}, {below_BCXYZ, skip_BCXYZ},
      [up, lateral](const Tensors& maps) mutable { return up(maps[0], lateral(maps[1])); });
}

}  // namespace homolog::model::resnet

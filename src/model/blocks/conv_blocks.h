// Convolution blocks of the U-shaped networks, named inside as MONAI's UnetrBasicBlock,
// UnetrUpBlock, UnetrPrUpBlock and UnetOutBlock, so that weights move between the two. Kernels
// are 3 (side 2 and stride 2 when up-sampling) without bias, norms are instance norms without
// weights unless `groups` says otherwise, activations leaky ReLU with slope 0.01. Maps are
// (B, C, X, Y, Z).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "model/blocks/conv3d.h"

namespace homolog::model {

// Per row and channel to mean 0, variance 1 over the voxels (eps 1e-5); no weights. Throws
// Fault::Usage for a map of one voxel, whose variance is none.
at::Tensor instance_norm(const at::Tensor& x_BCXYZ);

// A convolution under the name "conv", stride 1, the map keeps its size.
class ConvLayerImpl : public torch::nn::Module {
 public:
  ConvLayerImpl(std::int64_t in, std::int64_t out, std::int64_t kernel, bool bias = false);
  at::Tensor forward(const at::Tensor& x_BCXYZ);

 private:
  Conv3d conv_{nullptr};
};
TORCH_MODULE(ConvLayer);

// A transposed convolution under the name "conv": doubles each side.
class UpConvLayerImpl : public torch::nn::Module {
 public:
  UpConvLayerImpl(std::int64_t in, std::int64_t out);
  at::Tensor forward(const at::Tensor& x_BCXYZ);

 private:
  torch::nn::ConvTranspose3d conv_{nullptr};
};
TORCH_MODULE(UpConvLayer);

// The norms of a block: 0 instance norm, else group norm of so many groups, with weights.
using Groups = std::int64_t;

// conv1, norm, activation, conv2, norm; then, if residual, the input is added (through conv3 with
// kernel 1 and a norm where the channels differ); then the activation.
class ConvPairImpl : public torch::nn::Module {
 public:
  ConvPairImpl(std::int64_t in, std::int64_t out, bool residual, Groups groups = 0);
  at::Tensor forward(const at::Tensor& x_BCXYZ);

 private:
  bool residual_;
  ConvLayer conv1_{nullptr}, conv2_{nullptr}, conv3_{nullptr};
  torch::nn::GroupNorm norm1_{nullptr}, norm2_{nullptr}, norm3_{nullptr};  // empty: instance norms
};
TORCH_MODULE(ConvPair);

// A pair under the name "layer".
class UnetrBasicBlockImpl : public torch::nn::Module {
 public:
  UnetrBasicBlockImpl(std::int64_t in, std::int64_t out, bool residual = true, Groups groups = 0);
  at::Tensor forward(const at::Tensor& x_BCXYZ);

 private:
  ConvPair layer_{nullptr};
};
TORCH_MODULE(UnetrBasicBlock);

// Doubles a map's sides ("transp_conv", in -> out), puts a skip map of `out` channels behind it and
// convolves both ("conv_block", 2*out -> out).
class UnetrUpBlockImpl : public torch::nn::Module {
 public:
  UnetrUpBlockImpl(std::int64_t in, std::int64_t out, bool residual = true, Groups groups = 0);
  at::Tensor forward(const at::Tensor& below_BCXYZ, const at::Tensor& skip_BCXYZ);

 private:
  UpConvLayer transp_conv_{nullptr};
  ConvPair conv_block_{nullptr};
};
TORCH_MODULE(UnetrUpBlock);

// Doubles a map's sides 1 + layers times ("transp_conv_init", then "blocks"), each of the `layers`
// doublings followed by a pair if conv_block is set.
class UnetrPrUpBlockImpl : public torch::nn::Module {
 public:
  UnetrPrUpBlockImpl(std::int64_t in, std::int64_t out, std::int64_t layers, bool conv_block = true,
                     bool residual = true);
  at::Tensor forward(const at::Tensor& x_BCXYZ);

 private:
  UpConvLayer transp_conv_init_{nullptr};
  std::vector<UpConvLayer> ups_;
  std::vector<ConvPair> pairs_;  // empty without conv_block
};
TORCH_MODULE(UnetrPrUpBlock);

// The output layer: kernel 1 with bias, under "conv.conv".
class UnetOutBlockImpl : public torch::nn::Module {
 public:
  UnetOutBlockImpl(std::int64_t in, std::int64_t out);
  at::Tensor forward(const at::Tensor& x_BCXYZ);

 private:
  ConvLayer conv_{nullptr};
};
TORCH_MODULE(UnetOutBlock);

}  // namespace homolog::model

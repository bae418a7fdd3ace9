// See patch_decoder.h. Positions are sines, as MAE's: nothing to train, and any crop has them.
#include "model/blocks/patch_decoder.h"

#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "model/blocks/position_table.h"

namespace homolog::model {
namespace {

constexpr std::int64_t kMlpRatio = 4;
constexpr double kInitSigma = 0.02;

// As MAE's: linear layers start from Xavier's uniform with zero bias.
void init_linears(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  for (auto& child : module.modules(/*include_self=*/false)) {
    if (auto* linear = child->as<torch::nn::Linear>()) {
      torch::nn::init::xavier_uniform_(linear->weight);
      if (linear->bias.defined()) linear->bias.zero_();
    }
  }
}

}  // namespace

at::Tensor unpatchify(const at::Tensor& voxels_BLV, const backbone::Size3& grid,
                      std::int64_t patch) {
  return voxels_BLV.view({-1, grid[0], grid[1], grid[2], patch, patch, patch})
      .permute({0, 1, 4, 2, 5, 3, 6})
      .reshape({-1, 1, grid[0] * patch, grid[1] * patch, grid[2] * patch});
}

PatchDecoderImpl::PatchDecoderImpl(const PatchDecoderPlan& p, std::int64_t encoder_width,
                                   std::int64_t patch)
    : patch_(patch), width_(p.width) {
  if (p.width % p.heads != 0) {
    throw Error(Fault::Usage,
                "model.vit.decoder_heads: " + std::to_string(p.heads) +
                    " heads do not divide the " + std::to_string(p.width) +
                    " channels of model.vit.decoder_width",
                "with width 512 use 16");
  }
  embed_ = register_module("embed", torch::nn::Linear(encoder_width, p.width));
  mask_token_11C_ =
      register_parameter("mask_token", torch::empty({1, 1, p.width}).normal_(0, kInitSigma));
  auto blocks = register_module("blocks", torch::nn::ModuleList());
  for (std::int64_t i = 0; i < p.layers; ++i) {
    blocks_.emplace_back(BlockPlan{.hidden = p.width,
                                   .mlp = kMlpRatio * p.width,
                                   .heads = p.heads,
                                   .qkv_bias = true,
                                   .spare_norm = false});
    blocks->push_back(blocks_.back());
  }
  norm_ = register_module("norm",
                          torch::nn::LayerNorm(torch::nn::LayerNormOptions({p.width}).eps(1e-5)));
  prediction_ = register_module("prediction", torch::nn::Linear(p.width, patch * patch * patch));
  init_linears(*this);
}

const at::Tensor& PatchDecoderImpl::positions_1LC(const backbone::Size3& grid,
                                                  const at::Tensor& like) {
  if (!positions_1LC_.defined() || positions_grid_ != grid ||
      positions_1LC_.device() != like.device()) {
    positions_1LC_ = sine_positions_1LC(grid, width_).to(like.device());
    positions_grid_ = grid;
  }
  return positions_1LC_;
}

at::Tensor PatchDecoderImpl::forward(const at::Tensor& encoded_BNC, std::int64_t leading,
                                     const VisiblePatches& visible, const backbone::Size3& grid,
                                     Activations activations) {
  const at::Tensor embedded_BNC = embed_(encoded_BNC);
  const std::int64_t seen = embedded_BNC.size(1) - leading;
  at::Tensor x_BLC = visible.put_back(embedded_BNC.narrow(1, leading, seen), mask_token_11C_) +
                     positions_1LC(grid, embedded_BNC);
  if (leading > 0) x_BLC = at::cat({embedded_BNC.narrow(1, 0, leading), x_BLC}, 1);
  for (TransformerBlock& block : blocks_) x_BLC = run_block(activations, block, x_BLC);
  return norm_(x_BLC.narrow(1, leading, x_BLC.size(1) - leading));
}

at::Tensor PatchDecoderImpl::predict(const at::Tensor& tokens_BLC, const backbone::Size3& grid) {
  return unpatchify(prediction_(tokens_BLC), grid, patch_);
}

}  // namespace homolog::model

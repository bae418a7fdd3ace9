// See transformer.h. Attention maps are never stored: the library's fused attention serves.
#include "model/blocks/transformer.h"

#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/blocks/position_table.h"
#include "model/blocks/tokens.h"
#include "model/crop_text.h"

namespace homolog::model {
namespace {

using backbone::Size3;

constexpr double kInitSigma = 0.02, kEpsilon = 1e-5;

torch::nn::LayerNorm layer_norm(std::int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(kEpsilon));
}

Size3 tokens_of(const Size3& sides, std::int64_t patch, const std::string& prefix) {
  for (const std::int64_t side : sides) {
    if (side >= patch && side % patch == 0) continue;
    throw Error(Fault::Usage,
                prefix + ": patches of " + std::to_string(patch) +
                    " voxels do not tile an image of " + backbone::crop_text(sides, 'x'),
                "choose sides that are multiples of " + std::to_string(patch) +
                    (prefix == "model.vit" ? ", or change model.vit.patch" : ""));
  }
  return {sides[0] / patch, sides[1] / patch, sides[2] / patch};
}

// "1, 2, 3, 4, 6, 8, 12, 16": of a width, up to heads of 4 channels.
std::string divisors(std::int64_t width) {
  std::string text = "1";
  for (std::int64_t heads = 2; heads * 4 <= width; ++heads)
    if (width % heads == 0) text += ", " + std::to_string(heads);
  return text;
}

void check(const TransformerPlan& plan, const std::string& prefix) {
  if (plan.hidden % plan.heads != 0) {
    throw Error(Fault::Usage,
                prefix + ".heads: " + std::to_string(plan.heads) + " heads do not divide the " +
                    std::to_string(plan.hidden) + " channels of " + prefix + ".hidden",
                "choose one of " + divisors(plan.hidden));
  }
  if (plan.positions == "sincos" && plan.hidden % 6 != 0) {
    throw Error(Fault::Usage,
                prefix + ".positions: sincos needs " + prefix + ".hidden to be a multiple of 6");
  }
}

}  // namespace

void declare(Options& o, TransformerPlan& p, const std::string& prefix) {
  o.add(prefix + ".hidden", p.hidden, "channels of the encoder's tokens", {.min = 1});
  o.add(prefix + ".mlp", p.mlp, "channels inside a block's perceptron", {.min = 1});
  o.add(prefix + ".heads", p.heads, "attention heads of the encoder", {.min = 1});
  o.add(prefix + ".qkv_bias", p.qkv_bias, "queries, keys and values have a bias");
  o.add(prefix + ".projection", p.projection, "patch embedding: how its weights are stored",
        {.choices = {"conv", "perceptron"}});
}

TransformerBlockImpl::TransformerBlockImpl(const BlockPlan& p) : heads_(p.heads) {
  using torch::nn::Linear;
  auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>("mlp"));
  linear1_ = mlp->register_module("linear1", Linear(p.hidden, p.mlp));
  linear2_ = mlp->register_module("linear2", Linear(p.mlp, p.hidden));
  norm1_ = register_module("norm1", layer_norm(p.hidden));
  auto attention = register_module("attn", std::make_shared<torch::nn::Module>("attn"));
  out_ = attention->register_module("out_proj", Linear(p.hidden, p.hidden));
  qkv_ = attention->register_module(
      "qkv", Linear(torch::nn::LinearOptions(p.hidden, 3 * p.hidden).bias(p.qkv_bias)));
  norm2_ = register_module("norm2", layer_norm(p.hidden));
  if (p.spare_norm) register_module("norm_cross_attn", layer_norm(p.hidden));
}

at::Tensor TransformerBlockImpl::attend(const at::Tensor& tokens_BLC) {
  const std::int64_t rows = tokens_BLC.size(0), tokens = tokens_BLC.size(1);
  const auto qkv_BHLD =
      qkv_(tokens_BLC).view({rows, tokens, 3, heads_, -1}).permute({2, 0, 3, 1, 4}).unbind(0);
  const at::Tensor mixed_BHLD =
      at::scaled_dot_product_attention(qkv_BHLD[0], qkv_BHLD[1], qkv_BHLD[2]);
  return out_(mixed_BHLD.transpose(1, 2).flatten(2));
}

at::Tensor TransformerBlockImpl::forward(const at::Tensor& tokens_BLC) {
  const at::Tensor mid_BLC = tokens_BLC + attend(norm1_(tokens_BLC));
  return mid_BLC + linear2_(at::gelu(linear1_(norm2_(mid_BLC))));
}

PatchEmbeddingImpl::PatchEmbeddingImpl(const TransformerPlan& p, const Size3& grid)
    : patch_(p.patch), inputs_(p.inputs), table_grid_(grid) {
  const bool fixed = p.positions == "sincos";
  position_1LC_ = register_parameter(
      "position_embeddings",
      fixed ? sine_positions_1LC(grid, p.hidden)
            : torch::empty({1, grid[0] * grid[1] * grid[2], p.hidden}).normal_(0, kInitSigma),
      /*requires_grad=*/!fixed);
  auto owner = register_module("patch_embeddings", std::make_shared<torch::nn::Module>("patches"));
  const std::int64_t voxels = patch_ * patch_ * patch_;
  if (p.projection == "conv") {
    torch::nn::Conv3d conv(
        torch::nn::Conv3dOptions(inputs_, p.hidden, patch_).stride(patch_));  // its initial values
    weight_ = owner->register_parameter("weight", conv->weight.detach().clone());
    bias_C_ = owner->register_parameter("bias", conv->bias.detach().clone());
    return;
  }
  owner = owner->register_module("1", std::make_shared<torch::nn::Module>("linear"));
  weight_ = owner->register_parameter(
      "weight", torch::empty({p.hidden, voxels * inputs_}).normal_(0, kInitSigma));
  bias_C_ = owner->register_parameter("bias", torch::zeros({p.hidden}));
}

at::Tensor PatchEmbeddingImpl::kernel_OCXYZ() const {
  if (weight_.dim() == 5) return weight_;
  return weight_.view({-1, patch_, patch_, patch_, inputs_}).permute({0, 4, 1, 2, 3});
}

at::Tensor PatchEmbeddingImpl::forward(const at::Tensor& image_BCXYZ) {
  const at::Tensor map_BCXYZ = at::conv3d(image_BCXYZ, kernel_OCXYZ(), bias_C_, /*stride=*/patch_);
  const Size3 grid{map_BCXYZ.size(2), map_BCXYZ.size(3), map_BCXYZ.size(4)};
  return map_BCXYZ.flatten(2).transpose(1, 2) +
         resize_position_table(position_1LC_, table_grid_, grid);
}

Transformer::Transformer(const TransformerPlan& plan, const Size3& crop, torch::nn::Module& owner,
                         const std::string& prefix)
    : plan_(plan), crop_(crop), prefix_(prefix) {
  check(plan, prefix);
  const Size3 tokens = tokens_of(crop, plan.patch, prefix);
  if (plan.cls_token) {
    cls_token_11C_ = owner.register_parameter("cls_token", torch::zeros({1, 1, plan.hidden}));
  }
  embedding_ = owner.register_module("patch_embedding", PatchEmbedding(plan, tokens));
  auto blocks = owner.register_module("blocks", torch::nn::ModuleList());
  for (std::int64_t i = 0; i < plan.layers; ++i) {
    blocks_.emplace_back(BlockPlan{
        .hidden = plan.hidden, .mlp = plan.mlp, .heads = plan.heads, .qkv_bias = plan.qkv_bias});
    blocks->push_back(blocks_.back());
  }
  norm_ = owner.register_module("norm", layer_norm(plan.hidden));
}

Size3 Transformer::grid(const at::Tensor& image_B1XYZ) const {
  return tokens_of({image_B1XYZ.size(2), image_B1XYZ.size(3), image_B1XYZ.size(4)}, plan_.patch,
                   prefix_);
}

at::Tensor Transformer::encode(const at::Tensor& tokens_BLC, const Each& each,
                               Activations activations) {
  at::Tensor x_BLC =
      cls_token_11C_.defined()
          ? at::cat({cls_token_11C_.expand({tokens_BLC.size(0), 1, -1}), tokens_BLC}, 1)
          : tokens_BLC;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    x_BLC = run_block(activations, blocks_[i], x_BLC);
    if (each) each(static_cast<std::int64_t>(i), x_BLC);
  }
  return norm_(x_BLC);
}

bool Transformer::is_used(const std::string& name) const {
  if (name.find(".norm_cross_attn.") != std::string::npos) return false;
  return plan_.positions != "sincos" || name != "patch_embedding.position_embeddings";
}

nlohmann::json Transformer::monai_arguments() const {
  return {{"in_channels", plan_.inputs}, {"img_size", crop_},
          {"hidden_size", plan_.hidden}, {"mlp_dim", plan_.mlp},
          {"num_heads", plan_.heads},    {"proj_type", plan_.projection},
          {"qkv_bias", plan_.qkv_bias}};
}

}  // namespace homolog::model

// The plain vision transformer: patch embedding by convolution, pre-norm blocks, a last norm. Named
// inside as MONAI's ViT, so that weights move between the two. Tokens are (B, L, C), a map of
// patches flattened with the last spatial axis fastest; a class token comes first.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/backbone.h"

namespace homolog::model {

struct BlockPlan {
  std::int64_t hidden = 768, mlp = 3072, heads = 12;
  bool qkv_bias = false;
  bool spare_norm = true;  // MONAI's unused norm_cross_attn, for exchange of weights only
};

// x + attn(norm1(x)), then x + mlp(norm2(x)); exact GELU, eps 1e-5.
class TransformerBlockImpl : public torch::nn::Module {
 public:
  explicit TransformerBlockImpl(const BlockPlan& plan);
  at::Tensor forward(const at::Tensor& tokens_BLC);

 private:
  at::Tensor attend(const at::Tensor& tokens_BLC);

  std::int64_t heads_;
  torch::nn::Linear qkv_{nullptr}, out_{nullptr}, linear1_{nullptr}, linear2_{nullptr};
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
};
TORCH_MODULE(TransformerBlock);

struct TransformerPlan {
  std::int64_t patch = 16, hidden = 768, mlp = 3072, layers = 12, heads = 12;
  std::int64_t inputs = 1;  // channels of the image
  bool qkv_bias = false, cls_token = false;
  std::string projection = "conv";      // or "perceptron": the same numbers, stored as a matrix
  std::string positions = "learnable";  // or "sincos": fixed
};

// "PREFIX.hidden", mlp, heads, qkv_bias, projection.
void declare(Options& options, TransformerPlan& plan, const std::string& prefix);

// Patches of an image as tokens with their positions.
class PatchEmbeddingImpl : public torch::nn::Module {
 public:
  PatchEmbeddingImpl(const TransformerPlan& plan, const backbone::Size3& grid);
  at::Tensor forward(const at::Tensor& image_BCXYZ);
  const backbone::Size3& table_grid() const { return table_grid_; }

 private:
  at::Tensor kernel_OCXYZ() const;

  std::int64_t patch_, inputs_;
  backbone::Size3 table_grid_;  // tokens that the position table was made for
  at::Tensor position_1LC_, weight_, bias_C_;
};
TORCH_MODULE(PatchEmbedding);

// The parts of MONAI's ViT, registered in `owner` (which has its names at its root, or under a
// name of its own).
class Transformer {
 public:
  // Throws Fault::Usage, naming "PREFIX.key": sides that are no multiples of the patch, heads that
  // do not divide the width, fixed positions in a width of no sixth.
  Transformer(const TransformerPlan& plan, const backbone::Size3& crop, torch::nn::Module& owner,
              const std::string& prefix);

  // Tokens per axis of an image. Throws Fault::Usage where patches do not tile it.
  backbone::Size3 grid(const at::Tensor& image_B1XYZ) const;
  at::Tensor embed(const at::Tensor& image_B1XYZ) { return embedding_(image_B1XYZ); }
  // Puts the class token in front, runs the blocks and the last norm. `each` sees every block's
  // output.
  using Each = std::function<void(std::int64_t block, const at::Tensor& tokens_BLC)>;
  at::Tensor encode(const at::Tensor& tokens_BLC, const Each& each, Activations activations);

  const TransformerPlan& plan() const { return plan_; }
  const backbone::Size3& table_grid() const { return embedding_->table_grid(); }
  // Whether a parameter (name within the owner) takes part in embed and encode.
  bool is_used(const std::string& name) const;
  // Arguments that the constructors of MONAI's ViT and UNETR share.
  nlohmann::json monai_arguments() const;

 private:
  TransformerPlan plan_;
  backbone::Size3 crop_;
  std::string prefix_;
  at::Tensor cls_token_11C_;
  PatchEmbedding embedding_{nullptr};
  std::vector<TransformerBlock> blocks_;
  torch::nn::LayerNorm norm_{nullptr};
};

}  // namespace homolog::model

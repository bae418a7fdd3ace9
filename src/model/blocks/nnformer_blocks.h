// The parts of nnFormer (method.md 3.1, 3.2), named as in its public state dict, so that weights
// move between the two. Tokens are (B, L, C) with the last spatial axis fastest.
#pragma once

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include "model/blocks/conv3d.h"
#include "model/blocks/tokens.h"
#include "model/blocks/window_attention.h"

namespace homolog::model::nnformer {

struct BlockPlan {
  std::int64_t channels = 48, heads = 6;
  Size3 grid{};  // of the level, tokens
  std::int64_t window =
      4;  // shrunk to the grid's smallest side, without shift, if that is no larger
  bool shifted = false;
  bool exact_index = false;
  bool skip = false;  // keys and values from the encoder, no query projection
};

// One transformer block, with window attention over `context` (skip block) or over itself.
class BlockImpl : public torch::nn::Module {
 public:
  explicit BlockImpl(const BlockPlan& plan);
  // keep_attention_B, keep_mlp_B: factors of stochastic depth, or undefined.
  // Skip block: `query_BLC` (up-sampled map) asks, `skip_BLC` answers, `tokens_BLC` is the
  // residual.
  at::Tensor forward(const at::Tensor& tokens_BLC, const Size3& grid,
                     const at::Tensor& keep_attention_B, const at::Tensor& keep_mlp_B,
                     const at::Tensor& query_BLC = {}, const at::Tensor& skip_BLC = {});

 private:
  at::Tensor bias_HNN();
  at::Tensor attend(const at::Tensor& query_BLC, const at::Tensor& source_BLC, const Size3& grid);

  BlockPlan plan_;
  std::int64_t shift_ = 0;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  torch::nn::Linear qkv_{nullptr}, proj_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
  at::Tensor bias_table_;
  at::Tensor index_;  // rows of the table, on the table's device; not saved
  ShiftMask mask_;    // not saved
};
TORCH_MODULE(Block);

// Two convolutions of the patch embedding with their norms ("proj1", "proj2").
class ProjectImpl : public torch::nn::Module {
 public:
  ProjectImpl(std::int64_t in, std::int64_t out, std::int64_t stride, bool last);
  at::Tensor forward(const at::Tensor& x_BCXYZ);

 private:
  Conv3d conv1_{nullptr}, conv2_{nullptr};
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
};
TORCH_MODULE(Project);

class PatchEmbedImpl : public torch::nn::Module {
 public:
  explicit PatchEmbedImpl(std::int64_t channels);
  at::Tensor forward(const at::Tensor& image_B1XYZ);  // -> (B, L, C) at half resolution

 private:
  Project proj1_{nullptr}, proj2_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
};
TORCH_MODULE(PatchEmbed);

// GELU -> LN -> strided convolution, C to 2C.
class DownImpl : public torch::nn::Module {
 public:
  explicit DownImpl(std::int64_t channels);
  at::Tensor forward(const at::Tensor& tokens_BLC, const Size3& grid);

 private:
  Conv3d reduction_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
};
TORCH_MODULE(Down);

// LN -> transposed convolution, C to C/2.
class UpImpl : public torch::nn::Module {
 public:
  explicit UpImpl(std::int64_t channels);
  at::Tensor forward(const at::Tensor& tokens_BLC, const Size3& grid);

 private:
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::ConvTranspose3d up_{nullptr};
};
TORCH_MODULE(Up);

using model::map_to_tokens;
using model::tokens_to_map;

}  // namespace homolog::model::nnformer

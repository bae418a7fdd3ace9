// The parts of Swin UNETR's encoder (method.md 3.7), named as in MONAI's state dict. Tokens are
// (B, L, C) with the last spatial axis fastest.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <cstdint>
#include <vector>

#include "model/blocks/window_attention.h"

namespace homolog::model::swin {

// Layer norm over the channels without weights (eps 1e-5), as the hidden states leave the encoder.
at::Tensor plain_norm(const at::Tensor& tokens_BLC);

// How MONAI cuts a grid: an axis no longer than the window is one window without shift.
WindowGrid cut_windows(const Size3& grid, std::int64_t window, bool shifted);

// Attention over the windows of the tokens, then an MLP.
class BlockImpl : public torch::nn::Module {
 public:
  BlockImpl(std::int64_t channels, std::int64_t heads, std::int64_t window);
  // mask_VNN: of the windows' shift, or undefined. keep_2B: factors of stochastic depth of the two
  // branches, or undefined.
  at::Tensor forward(const at::Tensor& tokens_BLC, const WindowGrid& windows,
                     const at::Tensor& mask_VNN, const at::Tensor& keep_2B);

 private:
  at::Tensor bias_HNN(std::int64_t tokens);
  at::Tensor attend(const at::Tensor& tokens_BLC, const WindowGrid& windows,
                    const at::Tensor& mask_VNN);

  std::int64_t heads_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  torch::nn::Linear qkv_{nullptr}, proj_{nullptr}, linear1_{nullptr}, linear2_{nullptr};
  at::Tensor bias_table_, index_NN_;
};
TORCH_MODULE(Block);

// The eight neighbours of each 2x2x2 cube side by side, normed and reduced: C to 2C.
class MergeImpl : public torch::nn::Module {
 public:
  explicit MergeImpl(std::int64_t channels);
  at::Tensor forward(const at::Tensor& tokens_BLC, const Size3& grid);  // -> (B, L/8, 2C)

 private:
  torch::nn::Linear reduction_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
};
TORCH_MODULE(Merge);

struct StagePlan {
  std::int64_t channels = 48, depth = 2, heads = 3, window = 7;
};

// Blocks ("blocks"), every second one shifted, then the merge ("downsample").
class StageImpl : public torch::nn::Module {
 public:
  explicit StageImpl(const StagePlan& plan);
  // keep_LB: two rows a block, or undefined. `activations`: of blocks and merge. -> (B, L/8, 2C)
  at::Tensor forward(const at::Tensor& tokens_BLC, const Size3& grid, const at::Tensor& keep_LB,
                     Activations activations);

 private:
  StagePlan plan_;
  std::vector<Block> blocks_;
  Merge downsample_{nullptr};
  ShiftMask mask_;  // shared by the blocks; not saved
};
TORCH_MODULE(Stage);

}  // namespace homolog::model::swin

// See swin_blocks.h. A window smaller than the configured one reads the first rows and columns of
// the whole window's index table, as MONAI does, although those tokens lie elsewhere in the window.
#include "model/blocks/swin_blocks.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <array>
#include <memory>

#include "model/blocks/tokens.h"

namespace homolog::model::swin {
namespace {

constexpr std::int64_t kMlpRatio = 4;
constexpr double kEpsilon = 1e-5;

// Order in which the neighbours of a cube are put side by side: offsets along x, y, z.
constexpr std::array<Size3, 8> kMergeOrder{
    {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}, {1, 0, 1}, {0, 1, 1}, {1, 1, 1}}};

torch::nn::LayerNorm layer_norm(std::int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}).eps(kEpsilon));
}

at::Tensor keep_row(const at::Tensor& keep_LB, std::int64_t row) {
  return keep_LB.defined() ? keep_LB.select(0, row) : at::Tensor();
}

}  // namespace

at::Tensor plain_norm(const at::Tensor& tokens_BLC) {
  return at::layer_norm(tokens_BLC, {tokens_BLC.size(-1)}, {}, {}, kEpsilon);
}

WindowGrid cut_windows(const Size3& grid, std::int64_t window, bool shifted) {
  Size3 side{}, shift{};
  for (std::size_t a = 0; a < 3; ++a) {
    const bool whole = grid[a] <= window;
    side[a] = whole ? grid[a] : window;
    shift[a] = shifted && !whole ? window / 2 : 0;
  }
  return {.size = grid, .window = side, .shift = shift};
}

BlockImpl::BlockImpl(std::int64_t channels, std::int64_t heads, std::int64_t window)
    : heads_(heads) {
  const std::int64_t row = 2 * window - 1, n = window * window * window;
  auto attention = std::make_shared<torch::nn::Module>("attn");
  auto mlp = std::make_shared<torch::nn::Module>("mlp");
  norm1_ = register_module("norm1", layer_norm(channels));
  register_module("attn", attention);
  // MONAI's truncated normal, whose limits lie 100 deviations away.
  bias_table_ = attention->register_parameter(
      "relative_position_bias_table", torch::empty({row * row * row, heads}).normal_(0, 0.02));
  index_NN_ = attention->register_buffer("relative_position_index",
                                         relative_index(window, /*exact=*/true).view({n, n}));
  qkv_ = attention->register_module("qkv", torch::nn::Linear(channels, 3 * channels));
  proj_ = attention->register_module("proj", torch::nn::Linear(channels, channels));
  norm2_ = register_module("norm2", layer_norm(channels));
  register_module("mlp", mlp);
  linear1_ = mlp->register_module("linear1", torch::nn::Linear(channels, kMlpRatio * channels));
  linear2_ = mlp->register_module("linear2", torch::nn::Linear(kMlpRatio * channels, channels));
}

at::Tensor BlockImpl::bias_HNN(std::int64_t tokens) {
  const at::Tensor index =
      index_NN_.slice(0, 0, tokens).slice(1, 0, tokens).reshape(-1).to(torch::kLong);
  return bias_table_.index_select(0, index)
      .view({tokens, tokens, heads_})
      .permute({2, 0, 1})
      .contiguous();
}

at::Tensor BlockImpl::attend(const at::Tensor& tokens_BLC, const WindowGrid& windows,
                             const at::Tensor& mask_VNN) {
  const at::Tensor cut_WNC = windows.cut(tokens_BLC);
  const std::int64_t w = cut_WNC.size(0), n = cut_WNC.size(1);
  const auto split_WNHD = qkv_(cut_WNC).view({w, n, 3, heads_, -1}).unbind(2);
  return windows.join(
      proj_(window_attention(split_WNHD[0], split_WNHD[1], split_WNHD[2], bias_HNN(n), mask_VNN)));
}

at::Tensor BlockImpl::forward(const at::Tensor& tokens_BLC, const WindowGrid& windows,
                              const at::Tensor& mask_VNN, const at::Tensor& keep_2B) {
  const at::Tensor mid_BLC =
      add_branch(tokens_BLC, attend(norm1_(tokens_BLC), windows, mask_VNN), keep_row(keep_2B, 0));
  return add_branch(mid_BLC, linear2_(at::gelu(linear1_(norm2_(mid_BLC)))), keep_row(keep_2B, 1));
}

MergeImpl::MergeImpl(std::int64_t channels) {
  reduction_ = register_module(
      "reduction",
      torch::nn::Linear(torch::nn::LinearOptions(8 * channels, 2 * channels).bias(false)));
  norm_ = register_module("norm", layer_norm(8 * channels));
}

at::Tensor MergeImpl::forward(const at::Tensor& tokens_BLC, const Size3& grid) {
  const at::Tensor cubes = tokens_BLC.view(
      {tokens_BLC.size(0), grid[0] / 2, 2, grid[1] / 2, 2, grid[2] / 2, 2, tokens_BLC.size(2)});
  std::vector<at::Tensor> neighbours;
  for (const Size3& at : kMergeOrder) {
    neighbours.push_back(cubes.select(6, at[2]).select(4, at[1]).select(2, at[0]));
  }
  return reduction_(norm_(at::cat(neighbours, -1).flatten(1, 3)));
}

StageImpl::StageImpl(const StagePlan& plan) : plan_(plan) {
  auto blocks = register_module("blocks", torch::nn::ModuleList());
  for (std::int64_t b = 0; b < plan.depth; ++b) {
    blocks_.emplace_back(plan.channels, plan.heads, plan.window);
    blocks->push_back(blocks_.back());
  }
  downsample_ = register_module("downsample", Merge(plan.channels));
}

at::Tensor StageImpl::forward(const at::Tensor& tokens_BLC, const Size3& grid,
                              const at::Tensor& keep_LB, Activations activations) {
  at::Tensor out_BLC = tokens_BLC;
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    const WindowGrid windows = cut_windows(grid, plan_.window, b % 2 == 1);
    const auto row = static_cast<std::int64_t>(2 * b);
    out_BLC = run_block(activations, blocks_[b], out_BLC, windows, mask_.of_VNN(windows, out_BLC),
                        keep_LB.defined() ? keep_LB.narrow(0, row, 2) : at::Tensor());
  }
  return run_block(activations, downsample_, out_BLC, grid);
}

}  // namespace homolog::model::swin

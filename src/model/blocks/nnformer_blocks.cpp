// See nnformer_blocks.h. Maps travel channels-last, so that norms over channels and convolutions
// share one memory order and no copy lies between them.
#include "model/blocks/nnformer_blocks.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

namespace homolog::model::nnformer {
namespace {

constexpr double kMlpRatio = 4;

torch::nn::LayerNorm layer_norm(std::int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}).eps(1e-5));
}

Conv3d conv(std::int64_t in, std::int64_t out, std::int64_t stride) {
  return Conv3d(torch::nn::Conv3dOptions(in, out, 3).stride(stride).padding(1));
}

// LayerNorm over the channels of a map, returned as a map in channels-last order.
at::Tensor norm_channels(torch::nn::LayerNorm& norm, const at::Tensor& x_BCXYZ) {
  return norm(x_BCXYZ.permute({0, 2, 3, 4, 1})).permute({0, 4, 1, 2, 3});
}

}  // namespace

BlockImpl::BlockImpl(const BlockPlan& plan) : plan_(plan) {
  const std::int64_t smallest = *std::min_element(plan.grid.begin(), plan.grid.end());
  plan_.window = std::min(plan.window, smallest);
  shift_ = plan.shifted && smallest > plan.window ? plan.window / 2 : 0;
  const std::int64_t c = plan.channels, side = 2 * plan_.window - 1;
  const auto hidden = static_cast<std::int64_t>(kMlpRatio * static_cast<double>(c));

  auto attention = std::make_shared<torch::nn::Module>("attn");
  auto mlp = std::make_shared<torch::nn::Module>("mlp");
  norm1_ = register_module("norm1", layer_norm(c));
  register_module("attn", attention);
  bias_table_ = attention->register_parameter(
      "relative_position_bias_table",
      torch::empty({side * side * side, plan.heads}).normal_(0, 0.02));
  qkv_ = attention->register_module(plan.skip ? "kv" : "qkv",
                                    torch::nn::Linear(c, plan.skip ? 2 * c : 3 * c));
  proj_ = attention->register_module("proj", torch::nn::Linear(c, c));
  norm2_ = register_module("norm2", layer_norm(c));
  register_module("mlp", mlp);
  fc1_ = mlp->register_module("fc1", torch::nn::Linear(c, hidden));
  fc2_ = mlp->register_module("fc2", torch::nn::Linear(hidden, c));
}

at::Tensor BlockImpl::bias_HNN() {
  if (!index_.defined()) index_ = relative_index(plan_.window, plan_.exact_index);
  if (index_.device() != bias_table_.device()) index_ = index_.to(bias_table_.device());
  const std::int64_t n = plan_.window * plan_.window * plan_.window;
  return bias_table_.index_select(0, index_)
      .view({n, n, plan_.heads})
      .permute({2, 0, 1})
      .contiguous();
}

at::Tensor BlockImpl::attend(const at::Tensor& query_BLC, const at::Tensor& source_BLC,
                             const Size3& grid) {
  const WindowGrid windows{.size = grid, .window = plan_.window, .shift = shift_};
  const std::int64_t heads = plan_.heads, parts = plan_.skip ? 2 : 3;
  const at::Tensor source_WNC = windows.cut(source_BLC);
  const std::int64_t w = source_WNC.size(0), n = source_WNC.size(1);
  const auto split = qkv_(source_WNC).view({w, n, parts, heads, -1}).unbind(2);
  const at::Tensor q_WNHD = plan_.skip ? windows.cut(query_BLC).view({w, n, heads, -1}) : split[0];
  const at::Tensor out_WNC = window_attention(q_WNHD, split[static_cast<std::size_t>(parts) - 2],
                                              split[static_cast<std::size_t>(parts) - 1],
                                              bias_HNN(), mask_.of_VNN(windows, source_WNC));
  return windows.join(proj_(out_WNC));
}

at::Tensor BlockImpl::forward(const at::Tensor& tokens_BLC, const Size3& grid,
                              const at::Tensor& keep_attention_B, const at::Tensor& keep_mlp_B,
                              const at::Tensor& query_BLC, const at::Tensor& skip_BLC) {
  const at::Tensor attended_BLC = plan_.skip ? attend(norm1_(query_BLC), norm1_(skip_BLC), grid)
                                             : attend({}, norm1_(tokens_BLC), grid);
  const at::Tensor mid_BLC = add_branch(tokens_BLC, attended_BLC, keep_attention_B);
  return add_branch(mid_BLC, fc2_(at::gelu(fc1_(norm2_(mid_BLC)))), keep_mlp_B);
}

ProjectImpl::ProjectImpl(std::int64_t in, std::int64_t out, std::int64_t stride, bool last) {
  conv1_ = register_module("conv1", conv(in, out, stride));
  conv2_ = register_module("conv2", conv(out, out, 1));
  norm1_ = register_module("norm1", layer_norm(out));
  if (!last) norm2_ = register_module("norm2", layer_norm(out));
}

at::Tensor ProjectImpl::forward(const at::Tensor& x_BCXYZ) {
  const at::Tensor y_BCXYZ = conv2_(norm_channels(norm1_, at::gelu(conv1_(x_BCXYZ))));
  return norm2_.is_empty() ? y_BCXYZ : norm_channels(norm2_, at::gelu(y_BCXYZ));
}

PatchEmbedImpl::PatchEmbedImpl(std::int64_t channels) {
  proj1_ = register_module("proj1", Project(1, channels / 2, 2, false));
  proj2_ = register_module("proj2", Project(channels / 2, channels, 1, true));
  norm_ = register_module("norm", layer_norm(channels));
}

at::Tensor PatchEmbedImpl::forward(const at::Tensor& image_B1XYZ) {
  return norm_(map_to_tokens(proj2_(proj1_(image_B1XYZ))));
}

DownImpl::DownImpl(std::int64_t channels) {
  reduction_ = register_module("reduction", conv(channels, 2 * channels, 2));
  norm_ = register_module("norm", layer_norm(channels));
}

at::Tensor DownImpl::forward(const at::Tensor& tokens_BLC, const Size3& grid) {
  return map_to_tokens(reduction_(tokens_to_map(norm_(at::gelu(tokens_BLC)), grid)));
}

UpImpl::UpImpl(std::int64_t channels) {
  norm_ = register_module("norm", layer_norm(channels));
  up_ = register_module(
      "up", torch::nn::ConvTranspose3d(
                torch::nn::ConvTranspose3dOptions(channels, channels / 2, 2).stride(2)));
}

at::Tensor UpImpl::forward(const at::Tensor& tokens_BLC, const Size3& grid) {
  return map_to_tokens(up_(tokens_to_map(norm_(tokens_BLC), grid)));
}

}  // namespace homolog::model::nnformer

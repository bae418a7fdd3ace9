// See swin_layout.h. One bias table a stage is read; that the rest fits is for the loader to check.
#include "model/weights/swin_layout.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <string>

namespace homolog::model::swin {
namespace {

constexpr int kStages = 4;

// A tensor of so many dimensions, or null.
const torch::Tensor* find(const backbone::NamedTensors& tensors, const std::string& name,
                          std::int64_t dimensions) {
  const auto found = tensors.find(name);
  return found != tensors.end() && found->second.dim() == dimensions ? &found->second : nullptr;
}

// The window whose (2w - 1)^3 offsets are the rows of a bias table, or 0.
std::int64_t window_of(std::int64_t rows) {
  std::int64_t window = 1;
  const auto offsets = [](std::int64_t w) { return (2 * w - 1) * (2 * w - 1) * (2 * w - 1); };
  while (offsets(window) < rows) ++window;
  return offsets(window) == rows ? window : 0;
}

}  // namespace

std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors) {
  const auto* embed = find(tensors, "swinViT.patch_embed.proj.weight", 5);
  if (embed == nullptr || find(tensors, "decoder1.transp_conv.conv.weight", 5) == nullptr) {
    return std::nullopt;
  }
  std::int64_t window = 0;
  std::string depths, heads;
  for (int s = 1; s <= kStages; ++s) {
    const std::string blocks = "swinViT.layers" + std::to_string(s) + ".0.blocks.";
    std::int64_t depth = 0;
    while (tensors.contains(blocks + std::to_string(depth) + ".norm1.weight")) ++depth;
    const auto* table = find(tensors, blocks + "0.attn.relative_position_bias_table", 2);
    if (depth == 0 || table == nullptr) return std::nullopt;
    const std::int64_t side = window_of(table->size(0));
    if (side == 0 || (s > 1 && side != window)) return std::nullopt;
    window = side;
    depths += (s > 1 ? "," : "") + std::to_string(depth);
    heads += (s > 1 ? "," : "") + std::to_string(table->size(1));
  }
  const bool v2 = tensors.contains("swinViT.layers1c.0.layer.conv1.conv.weight");
  return backbone::Recognised{
      .options = {{"model.swin_unetr.feature", std::to_string(embed->size(0))},
                  {"model.swin_unetr.depths", depths},
                  {"model.swin_unetr.heads", heads},
                  {"model.swin_unetr.window", std::to_string(window)},
                  {"model.swin_unetr.use_v2", v2 ? "true" : "false"}},
      .crop = {}};
}

}  // namespace homolog::model::swin

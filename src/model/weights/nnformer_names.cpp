#include "model/weights/nnformer_names.h"

#include <torch/types.h>

#include <cmath>

#include "model/backbones/nnformer.h"

namespace homolog::model::nnformer {
namespace {

// The whole cube root; 0: none.
std::int64_t side_of(std::int64_t volume) {
  const auto side = static_cast<std::int64_t>(std::llround(std::cbrt(static_cast<double>(volume))));
  return side * side * side == volume ? side : 0;
}

void add(std::string& list, std::int64_t number) {
  list += (list.empty() ? "" : ",") + std::to_string(number);
}

}  // namespace

std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors) {
  const auto norm = tensors.find("model_down.norm0.weight");
  if (norm == tensors.end() || norm->second.dim() != 1) return std::nullopt;
  std::string depths, heads, windows;
  for (std::int64_t s = 0; s < kStages; ++s) {
    const std::string stage = "model_down.layers." + std::to_string(s) + ".blocks.";
    std::int64_t depth = 0;
    while (tensors.contains(stage + std::to_string(depth) + ".norm1.weight")) ++depth;
    const auto table = tensors.find(stage + "0.attn.relative_position_bias_table");
    if (depth == 0 || table == tensors.end() || table->second.dim() != 2) return std::nullopt;
    const std::int64_t offsets = side_of(table->second.size(0));  // per axis: 2 * window - 1
    if (offsets % 2 == 0) return std::nullopt;
    add(depths, depth);
    add(heads, table->second.size(1));
    add(windows, (offsets + 1) / 2);
  }
  backbone::Recognised out;
  out.options = {{"model.nnformer.embed", std::to_string(norm->second.numel())},
                 {"model.nnformer.depths", depths},
                 {"model.nnformer.heads", heads},
                 {"model.nnformer.windows", windows}};
  const auto positions = tensors.find("model_down.absolute_pos_embed");
  if (positions != tensors.end() && positions->second.dim() == 3) {
    const std::int64_t side = 2 * side_of(positions->second.size(1));
    out.crop = {side, side, side};
  }
  return out;
}

}  // namespace homolog::model::nnformer

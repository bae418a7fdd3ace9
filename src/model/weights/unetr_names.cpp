#include "model/weights/unetr_names.h"

#include <torch/types.h>

#include <string>

#include "model/weights/transformer_names.h"
#include "model/weights/weight_shapes.h"

namespace homolog::model::unetr {

std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors) {
  constexpr const char* kFirst = "encoder1.layer.conv1.conv.weight";
  constexpr std::int64_t kPatch = 16, kBlocks = 12;  // MONAI's, no options
  auto read = read_transformer(tensors, "vit.", "model.unetr");
  if (!read || !tensors.contains(kFirst)) return std::nullopt;
  backbone::Recognised& out = read->told;
  append(out.misfits, misfits_of_kernel(tensors, kFirst, 3));
  if (read->patch != kPatch || read->layers != kBlocks || read->cls_token) {
    out.misfits.push_back({"a transformer of " + std::to_string(read->layers) +
                               " blocks, patches of " + std::to_string(read->patch) + " voxels" +
                               (read->cls_token ? " and a class token" : "") +
                               ": UNETR has 12 blocks, patches of 16 and no class token",
                           ""});
  }
  if (tensors.contains("encoder1.layer.norm1.weight"))
    out.misfits.push_back(
        {"a norm with weights: encoder1.layer.norm1.weight, which this network has not",
         "supported is UNETR's norm_name=\"instance\" alone"});
  const auto has = [&](const char* name) { return tensors.contains(name) ? "true" : "false"; };
  const Shape first = shape_of(tensors, kFirst);
  const std::int64_t feature = first.empty() ? 0 : first[0];
  out.options["model.unetr.feature"] = std::to_string(feature);
  out.options["model.unetr.res_block"] = has("decoder5.conv_block.conv3.conv.weight");
  out.options["model.unetr.conv_block"] = has("encoder2.blocks.0.0.conv.weight");
  const auto f = static_cast<double>(feature);
  out.least_numbers += 27 * (16 * 8 + 8 * 8) * f * f;  // decoder5's convolutions
  return out;
}

}  // namespace homolog::model::unetr

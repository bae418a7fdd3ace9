// See swin_unetr_names.h. One bias table a stage is read; that the rest fits is for the loader to
// check.
#include "model/weights/swin_unetr_names.h"

#include <torch/types.h>

#include <cctype>

#include "model/parameter_names.h"
#include "model/weights/weight_shapes.h"

namespace homolog::model::swin {
namespace {

using backbone::Misfit;
using backbone::NamedTensors;
using backbone::Recognised;

constexpr int kStageCount = 4;
constexpr const char* kEmbed = "swinViT.patch_embed.proj.weight";

constexpr const char* kMapNorm = "encoder1.layer.norm1.";

bool has_group_norms(const NamedTensors& tensors) {
  const std::string norm = kMapNorm;
  return tensors.contains(norm + "weight") && !tensors.contains(norm + "running_mean");
}

void refuse_other_norms(const NamedTensors& tensors, Recognised& out) {
  constexpr const char* kSupported =
      "supported are SwinUNETR's norm_name=\"instance\" and group norm of 8 groups, and "
      "patch_norm=False alone";
  const Shape norm = shape_of(tensors, std::string(kMapNorm) + "weight");
  if (has_group_norms(tensors) && (norm.size() != 1 || norm[0] % 8 != 0))
    out.misfits.push_back({"a norm with weights that 8 groups do not divide: " +
                               std::string(kMapNorm) + "weight has shape " + shape_text(norm),
                           kSupported});
  for (const std::string& name :
       {std::string(kMapNorm) + "running_mean", std::string("swinViT.patch_embed.norm.weight")}) {
    if (tensors.contains(name))
      out.misfits.push_back({"a norm that this network has not: " + name, kSupported});
  }
}

void read_stage(const NamedTensors& tensors, int stage, double channels, Recognised& out,
                Shape& depths, Shape& heads, Shape& windows) {
  const std::string blocks = "swinViT.layers" + std::to_string(stage) + ".0.blocks.";
  const std::int64_t depth = count_numbered(tensors, blocks + "%.norm1.weight");
  if (depth == 0) out.misfits.push_back({"no blocks " + blocks + "*", "it has four stages here"});
  const std::string name = blocks + "0.attn.relative_position_bias_table";
  const BiasTable table = read_bias_table(tensors, name);
  append(out.misfits, table.misfits);
  if (!windows.empty() && table.window > 0 && windows[0] > 0 && table.window != windows[0]) {
    out.misfits.push_back({"windows that differ between stages: " + name + " is of windows of " +
                               std::to_string(table.window) + " tokens, the first stage's of " +
                               std::to_string(windows[0]),
                           "all stages have one window here"});
  }
  const std::string inner = blocks + "0.mlp.linear1.weight";
  const Shape mlp = shape_of(tensors, inner);
  if (mlp.size() == 2 && mlp[0] != 4 * mlp[1])
    out.misfits.push_back(
        {"a perceptron that is not four times as wide: " + inner + " has shape " + shape_text(mlp),
         "supported is mlp_ratio=4 alone"});
  if (!tensors.contains(blocks + "0.attn.qkv.bias"))
    out.misfits.push_back(
        {blocks + "0.attn.qkv.bias is missing", "supported is SwinUNETR's qkv_bias=True alone"});
  depths.push_back(depth), heads.push_back(table.heads), windows.push_back(table.window);
  const auto window = static_cast<double>(table.window);
  out.least_numbers +=
      static_cast<double>(depth) *
      (12 * channels * channels + window * window * window * window * window * window);
}

}  // namespace

std::optional<Recognised> recognise(const NamedTensors& tensors) {
  if (!tensors.contains(kEmbed) && !tensors.contains("swinViT.layers1.0.blocks.0.norm1.weight"))
    return std::nullopt;
  Recognised out;
  out.misfits = misfits_of_kernel(tensors, kEmbed, 2);
  refuse_other_norms(tensors, out);
  const Shape embed = shape_of(tensors, kEmbed);
  const std::int64_t feature = embed.empty() ? 0 : embed[0];
  Shape depths, heads, windows;
  for (int s = 1; s <= kStageCount; ++s)
    read_stage(tensors, s, static_cast<double>(feature) * (1 << (s - 1)), out, depths, heads,
               windows);
  const bool v2 = tensors.contains("swinViT.layers1c.0.layer.conv1.conv.weight");
  out.options = {{"model.swin_unetr.feature", std::to_string(feature)},
                 {"model.swin_unetr.depths", list_text(depths)},
                 {"model.swin_unetr.heads", list_text(heads)},
                 {"model.swin_unetr.window", std::to_string(windows[0])},
                 {"model.swin_unetr.use_v2", v2 ? "true" : "false"},
                 {"model.swin_unetr.norm", has_group_norms(tensors) ? "group" : "instance"}};
  if (has_group_norms(tensors))
    out.guesses.push_back(
        {"",
         "shapes do not tell how a norm with weights groups channels: taken as group norm of 8 "
         "groups; with others, or an instance norm with weights, these weights computed something "
         "else, which is not supported"});
  out.guesses.push_back(
      {"",
       "shapes do not tell SwinUNETR's normalize and downsample: taken as its defaults, "
       "normalize=True and downsample=\"merging\"; with normalize=False or \"mergingv2\" these "
       "weights computed something else, which is not supported"});
  return out;
}

namespace {

// "layers1.0.blocks...", "layers1c.0...", "patch_embed..."; with `nested` "layers1.0.0.blocks...",
// whose second number is taken off. Empty: no part of the transformer.
std::string inside_transformer(const std::string& name, bool nested) {
  const bool layer = name.starts_with("layers") && name.size() > 6 && name[6] >= '1' &&
                     name[6] < '1' + kStageCount;
  if (!layer) return name.starts_with("patch_embed.") ? name : "";
  const std::size_t rest = name.find(".0.");
  if (rest == std::string::npos) return "";
  if (nested && rest + 4 < name.size() && std::isdigit(name[rest + 3]) != 0 &&
      name[rest + 4] == '.')
    return name.substr(0, rest + 3) + name.substr(rest + 5);
  return name;
}

std::string with_linears(std::string name) {
  for (const char* number : {"1", "2"}) {
    const std::string old = std::string(".mlp.fc") + number + ".";
    const std::size_t at = name.find(old);
    if (at != std::string::npos)
      name.replace(at, old.size(), std::string(".mlp.linear") + number + ".");
  }
  return name;
}

bool has_stage(const NamedTensors& tensors, const std::string& prefix) {
  const auto at = tensors.lower_bound(prefix + "layers1.0.");
  return tensors.contains(prefix + "patch_embed.proj.weight") && at != tensors.end() &&
         at->first.starts_with(prefix + "layers1.0.");
}

bool is_pretraining_head(const std::string& name) {
  return starts_with_any(name, {"rotation_head.", "contrastive_head.", "conv."});
}

}  // namespace

void rename_pretraining(NamedTensors& tensors, std::vector<std::string>& left_out,
                        std::vector<std::string>& notes) {
  std::string prefix = "swinViT.";
  if (has_stage(tensors, "encoder.")) prefix = "encoder.";
  if (has_stage(tensors, "")) prefix = "";
  if (!has_stage(tensors, prefix)) return;
  const bool whole = prefix == "swinViT.";  // others beside it may be SwinUNETR's
  NamedTensors renamed;
  bool changed = false;
  for (const auto& [name, tensor] : tensors) {
    const bool under = name.starts_with(prefix);
    const std::string inside =
        under ? inside_transformer(name.substr(prefix.size()), prefix == "encoder.") : "";
    if (inside.empty() && (!whole || is_pretraining_head(name))) {
      left_out.push_back(name);
      continue;
    }
    const std::string now = inside.empty() ? name : with_linears("swinViT." + inside);
    changed = changed || now != name;
    renamed.insert_or_assign(now, tensor);
  }
  tensors = std::move(renamed);
  if (changed)
    notes.push_back(
        "names of a Swin UNETR transformer that was pre-trained by itself: read as SwinUNETR's "
        "load_from reads them");
}

}  // namespace homolog::model::swin

#include "model/weights/nnformer_names.h"

#include <torch/types.h>

#include <string>

#include "model/weights/weight_shapes.h"

namespace homolog::model::nnformer {
namespace {

constexpr int kEncoderStages = 4;
constexpr const char* kNorm = "model_down.norm0.weight";

}  // namespace

std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors) {
  if (!tensors.contains("model_down.patch_embed.proj1.conv1.weight") &&
      !tensors.contains("model_down.layers.0.blocks.0.norm1.weight"))
    return std::nullopt;
  backbone::Recognised out;
  out.misfits = misfits_of_kernel(tensors, "model_down.patch_embed.proj1.conv1.weight", 3);
  const Shape norm = shape_of(tensors, kNorm);
  if (norm.size() != 1)
    out.misfits.push_back({std::string(kNorm) + " has " + shape_text(norm) +
                               ", needs one number for each channel of the patch embedding",
                           ""});
  Shape depths, heads, windows;
  for (int s = 0; s < kEncoderStages; ++s) {
    const std::string blocks = "model_down.layers." + std::to_string(s) + ".blocks.";
    const std::string table_name = blocks + "0.attn.relative_position_bias_table";
    const std::int64_t depth = count_numbered(tensors, blocks + "%.norm1.weight");
    const BiasTable table = read_bias_table(tensors, table_name);
    if (depth == 0) out.misfits.push_back({"no blocks " + blocks + "*", "it has four stages here"});
    append(out.misfits, table.misfits);
    depths.push_back(depth), heads.push_back(table.heads), windows.push_back(table.window);
    const double channels = norm.size() == 1 ? static_cast<double>(norm[0]) * (1 << s) : 0;
    out.least_numbers +=
        static_cast<double>(depth) *
        (12 * channels * channels +
         static_cast<double>(tensors.contains(table_name) ? tensors.at(table_name).numel() : 0));
  }
  out.options = {{"model.nnformer.embed", norm.size() == 1 ? std::to_string(norm[0]) : "0"},
                 {"model.nnformer.depths", list_text(depths)},
                 {"model.nnformer.heads", list_text(heads)},
                 {"model.nnformer.windows", list_text(windows)}};
  const std::string option = "model.nnformer.rel_index";
  out.options[option] = "reference";
  out.guesses.push_back(
      {option,
       "shapes do not tell how rows of the bias tables are counted: taken as the public nnFormer "
       "counts them; for weights of a network that has one for each offset give --set " +
           option + "=exact"});
  const Shape positions = shape_of(tensors, "model_down.absolute_pos_embed");
  if (positions.size() == 3) {
    out.tokens = positions[1], out.token_side = 2;
    out.crop = cube_of(out.tokens, out.token_side);
  }
  return out;
}

}  // namespace homolog::model::nnformer

// See transformer_names.h.
#include "model/weights/transformer_names.h"

#include <torch/types.h>

#include "model/weights/weight_shapes.h"

namespace homolog::model {
namespace {

using backbone::NamedTensors;

// Width and patch side from the patch embedding, a convolution or a matrix.
std::int64_t read_patches(const NamedTensors& tensors, const std::string& base,
                          ReadTransformer& out) {
  const Shape matrix = shape_of(tensors, base + "1.weight");
  if (matrix.size() != 2) {
    append(out.told.misfits, misfits_of_kernel(tensors, base + "weight", 0));
    const Shape kernel = shape_of(tensors, base + "weight");
    if (kernel.size() == 5) out.patch = kernel[2];
    return kernel.empty() ? 0 : kernel[0];
  }
  out.patch = cube_root(matrix[1]);  // of one channel
  if (out.patch == 0) {
    out.told.misfits.push_back({base + "1.weight has shape " + shape_text(matrix) + ", needs [" +
                                    std::to_string(matrix[0]) +
                                    ", side^3] for cubic patches of one channel",
                                "cubic patches and one input channel are supported alone"});
  }
  return matrix[0];
}

void read_positions(const NamedTensors& tensors, const std::string& name, std::int64_t hidden,
                    ReadTransformer& out) {
  const Shape table = shape_of(tensors, name);
  if (table.size() == 3 && table[0] == 1 && table[2] == hidden) {
    out.told.tokens = table[1], out.told.token_side = out.patch;
    out.told.crop = cube_of(table[1], out.patch);
    return;
  }
  out.told.misfits.push_back({name + " has " + (table.empty() ? "" : "shape ") + shape_text(table) +
                                  ", needs [1, tokens, " + std::to_string(hidden) + "]",
                              "supported is pos_embed_type \"learnable\" or \"sincos\" alone"});
}

}  // namespace

std::int64_t assumed_heads(std::int64_t width, std::int64_t channels_each) {
  constexpr std::int64_t kMonaiDefault = 12;
  if (width % channels_each == 0) return width / channels_each;
  return width % kMonaiDefault == 0 ? kMonaiDefault : 1;
}

std::optional<ReadTransformer> read_transformer(const NamedTensors& tensors,
                                                const std::string& prefix,
                                                const std::string& option) {
  const std::string patches = prefix + "patch_embedding.patch_embeddings.";
  const std::string linear = prefix + "blocks.0.mlp.linear1.weight";
  if ((!tensors.contains(patches + "weight") && !tensors.contains(patches + "1.weight")) ||
      !tensors.contains(linear))
    return std::nullopt;
  ReadTransformer out;
  auto& told = out.told;
  const std::int64_t hidden = read_patches(tensors, patches, out);
  read_positions(tensors, prefix + "patch_embedding.position_embeddings", hidden, out);
  const Shape mlp = shape_of(tensors, linear);
  if (mlp.size() != 2 || mlp[1] != hidden)
    told.misfits.push_back({linear + " has shape " + shape_text(mlp) + ", needs [channels, " +
                                std::to_string(hidden) + "]",
                            ""});
  out.layers = count_numbered(tensors, prefix + "blocks.%.attn.qkv.weight");
  out.cls_token = tensors.contains(prefix + "cls_token");
  const std::int64_t inner = mlp.empty() ? 0 : mlp[0], heads = assumed_heads(hidden, 64);
  told.options = {
      {option + ".hidden", std::to_string(hidden)},
      {option + ".mlp", std::to_string(inner)},
      {option + ".heads", std::to_string(heads)},
      {option + ".qkv_bias",
       tensors.contains(prefix + "blocks.0.attn.qkv.bias") ? "true" : "false"},
      {option + ".projection", tensors.contains(patches + "1.weight") ? "perceptron" : "conv"}};
  told.guesses.push_back({option + ".heads", "shapes do not tell the attention heads: taken as " +
                                                 std::to_string(heads) + "; else give --set " +
                                                 option + ".heads=N"});
  const auto width = static_cast<double>(hidden);
  told.least_numbers = static_cast<double>(out.layers) *
                       (4 * width * width + 2 * width * static_cast<double>(inner));
  return out;
}

}  // namespace homolog::model

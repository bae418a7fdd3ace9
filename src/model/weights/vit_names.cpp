#include "model/weights/vit_names.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "model/blocks/position_table.h"
#include "model/weights/transformer_names.h"
#include "model/weights/weight_shapes.h"

namespace homolog::model::vit {
namespace {

// The pre-training decoder, where the file holds it. Where it does not, its size is nobody's to
// say.
void read_decoder(const backbone::NamedTensors& tensors, backbone::Recognised& out) {
  const Shape embed = shape_of(tensors, "pretrain_decoder.embed.weight");
  if (embed.size() != 2) return;
  const std::int64_t layers = count_numbered(tensors, "pretrain_decoder.blocks.%.norm1.weight");
  const std::int64_t heads = assumed_heads(embed[0], 32);  // MAE's 512 / 16
  const std::string option = "model.vit.decoder_heads";
  out.options["model.vit.decoder_width"] = std::to_string(embed[0]);
  out.options["model.vit.decoder_layers"] = std::to_string(layers);
  out.options[option] = std::to_string(heads);
  out.guesses.push_back({option, "shapes do not tell the decoder's attention heads: taken as " +
                                     std::to_string(heads) + "; else give --set " + option + "=N"});
  const auto width = static_cast<double>(embed[0]);
  out.least_numbers += 12 * static_cast<double>(layers) * width * width;
}

// Its numbers tell what its shape does not.
void note_fixed_positions(const backbone::NamedTensors& tensors, backbone::Recognised& out) {
  const auto found = tensors.find("patch_embedding.position_embeddings");
  if (out.tokens == 0 || !found->second.is_floating_point()) return;
  const std::string option = "model.vit.positions";
  const torch::Tensor table_1LC = found->second.to(torch::kFloat32);
  const std::int64_t side = cube_root(out.tokens);
  constexpr double kTolerance = 0.01;  // of 16-bit floats
  if (!table_1LC.any().item<bool>()) {
    out.guesses.push_back({option,
                           "the position table is zero throughout (MONAI's "
                           "pos_embed_type=\"none\"): taken as a trained one that starts there"});
  } else if (side > 0 &&
             table_1LC.allclose(sine_positions_1LC({side, side, side}, table_1LC.size(2)), 0,
                                kTolerance)) {
    out.guesses.push_back({option,
                           "the position table is MONAI's sines (pos_embed_type=\"sincos\"): taken "
                           "as a trained one that starts there; --set " +
                               option + "=sincos keeps it fixed"});
  }
}

}  // namespace

std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors) {
  auto read = read_transformer(tensors, "", "model.vit");
  if (!read) return std::nullopt;
  backbone::Recognised& out = read->told;
  out.options["model.vit.patch"] = std::to_string(read->patch);
  out.options["model.vit.layers"] = std::to_string(read->layers);
  out.options["model.vit.cls_token"] = read->cls_token ? "true" : "false";
  note_fixed_positions(tensors, out);
  read_decoder(tensors, out);
  return out;
}

}  // namespace homolog::model::vit

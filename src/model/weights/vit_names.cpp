#include "model/weights/vit_names.h"

#include <torch/types.h>

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

}  // namespace

std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors) {
  auto read = read_transformer(tensors, "", "model.vit");
  if (!read) return std::nullopt;
  backbone::Recognised& out = read->told;
  out.options["model.vit.patch"] = std::to_string(read->patch);
  out.options["model.vit.layers"] = std::to_string(read->layers);
  out.options["model.vit.cls_token"] = read->cls_token ? "true" : "false";
  read_decoder(tensors, out);
  return out;
}

}  // namespace homolog::model::vit

// See transformer_names.h.
#include "model/weights/transformer_names.h"

#include <torch/types.h>

#include <cmath>

namespace homolog::model {
namespace {

std::int64_t cube_root(std::int64_t value) {
  const auto root = static_cast<std::int64_t>(std::llround(std::cbrt(static_cast<double>(value))));
  return root * root * root == value ? root : 0;
}

// Width, inputs and patch side from the patch embedding.
bool read_patches(const backbone::NamedTensors& tensors, const std::string& prefix,
                  TransformerPlan& plan) {
  const std::string base = prefix + "patch_embedding.patch_embeddings.";
  if (const auto conv = shape_of(tensors, base + "weight"); conv.size() == 5) {
    plan.hidden = conv[0], plan.inputs = conv[1], plan.patch = conv[2];
    return conv[3] == plan.patch && conv[4] == plan.patch;
  }
  const auto matrix = shape_of(tensors, base + "1.weight");
  if (matrix.size() != 2) return false;
  plan.projection = "perceptron";
  plan.hidden = matrix[0], plan.patch = cube_root(matrix[1]);  // of one channel
  return plan.patch > 0;
}

}  // namespace

std::vector<std::int64_t> shape_of(const backbone::NamedTensors& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  return found == tensors.end() ? std::vector<std::int64_t>() : found->second.sizes().vec();
}

std::int64_t count_numbered(const backbone::NamedTensors& tensors, const std::string& name) {
  const std::size_t at = name.find('%');
  std::int64_t count = 0;
  const auto nth = [&] { return name.substr(0, at) + std::to_string(count) + name.substr(at + 1); };
  while (tensors.count(nth()) != 0U) ++count;
  return count;
}

std::int64_t assumed_heads(std::int64_t width, std::int64_t channels_each) {
  constexpr std::int64_t kMonaiDefault = 12;
  if (width % channels_each == 0) return width / channels_each;
  return width % kMonaiDefault == 0 ? kMonaiDefault : 1;
}

std::optional<TransformerPlan> recognise_transformer(const backbone::NamedTensors& tensors,
                                                     const std::string& prefix) {
  TransformerPlan plan;
  const auto positions = shape_of(tensors, prefix + "patch_embedding.position_embeddings");
  const auto linear1 = shape_of(tensors, prefix + "blocks.0.mlp.linear1.weight");
  if (positions.size() != 3 || linear1.size() != 2 || !read_patches(tensors, prefix, plan) ||
      positions[2] != plan.hidden || linear1[1] != plan.hidden ||
      shape_of(tensors, prefix + "norm.weight").size() != 1) {
    return std::nullopt;
  }
  plan.mlp = linear1[0];
  plan.layers = count_numbered(tensors, prefix + "blocks.%.attn.qkv.weight");
  plan.heads = assumed_heads(plan.hidden, 64);
  plan.qkv_bias = tensors.count(prefix + "blocks.0.attn.qkv.bias") != 0;
  plan.cls_token = tensors.count(prefix + "cls_token") != 0;
  return plan;
}

std::map<std::string, std::string> options_of(const TransformerPlan& plan,
                                              const std::string& prefix) {
  return {{prefix + ".hidden", std::to_string(plan.hidden)},
          {prefix + ".mlp", std::to_string(plan.mlp)},
          {prefix + ".heads", std::to_string(plan.heads)},
          {prefix + ".qkv_bias", plan.qkv_bias ? "true" : "false"},
          {prefix + ".projection", plan.projection}};
}

backbone::Size3 crop_of(const backbone::NamedTensors& tensors, const std::string& prefix,
                        std::int64_t patch) {
  const auto table = shape_of(tensors, prefix + "patch_embedding.position_embeddings");
  const std::int64_t side = table.size() == 3 ? cube_root(table[1]) * patch : 0;
  return {side, side, side};
}

}  // namespace homolog::model

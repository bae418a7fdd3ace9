#include "model/weights/resnet_names.h"

#include <torch/types.h>

#include <algorithm>
#include <string>

#include "model/blocks/resnet_depths.h"
#include "model/weights/weight_shapes.h"

namespace homolog::model::resnet {
namespace {

using backbone::NamedTensors;
using backbone::Recognised;

void read_depth(const NamedTensors& tensors, Recognised& out) {
  std::array<std::int64_t, kLayers> blocks{};
  for (std::size_t l = 0; l < kLayers; ++l)
    blocks.at(l) = count_numbered(tensors, "layer" + std::to_string(l + 1) + ".%.conv1.weight");
  const bool bottleneck = tensors.contains("layer1.0.conv3.weight");
  const auto* found = std::find_if(kDepths.begin(), kDepths.end(), [&](const Depth& d) {
    return d.bottleneck == bottleneck && d.blocks == blocks;
  });
  if (found != kDepths.end()) {
    out.options["model.resnet.depth"] = std::to_string(found->depth);
    return;
  }
  out.misfits.push_back(
      {"layers of " + list_text({blocks.begin(), blocks.end()}) +
           (bottleneck ? " bottlenecks" : " plain blocks") +
           ", the number of no ResNet that is known here",
       "supported are depth 10, 18 and 34 of plain blocks, 50, 101, 152 and 200 of bottlenecks"});
}

void read_norm(const NamedTensors& tensors, Recognised& out) {
  const bool batch = tensors.contains("bn1.running_mean");
  if (batch != tensors.contains("layer1.0.bn1.running_mean")) {
    out.misfits.push_back(
        {std::string("norms of two kinds: bn1 has ") + (batch ? "" : "no ") +
             "running statistics, layer1.0.bn1 has " + (batch ? "none" : "some"),
         "supported is one kind for all: batch norm, or instance norm with weights"});
    return;
  }
  out.options["model.resnet.norm"] = batch ? "batch" : "instance";
  if (!tensors.contains("bn1.weight")) {
    out.misfits.push_back(
        {"bn1.weight is missing: a norm without weights", "norms here have weights"});
  } else if (!batch) {
    out.guesses.push_back(
        {"model.resnet.norm",
         "there are no running statistics: taken for an instance norm with weights. A group norm "
         "has the same shapes and is not supported: do not use this file if its network had one; "
         "--set model.resnet.norm=instance says that it had not"});
  }
}

void read_shortcuts(const NamedTensors& tensors, Recognised& out) {
  out.options["model.resnet.bias_downsample"] =
      tensors.contains("layer4.0.downsample.0.bias") ? "true" : "false";
  if (tensors.contains("layer4.0.downsample.0.weight")) return;
  out.misfits.push_back({"layer4.0.downsample.0.weight is missing: shortcuts without a convolution",
                         "supported is MONAI's shortcut_type=\"B\" alone"});
}

// MONAI's widen_factor and block_inplanes.
void read_widths(const NamedTensors& tensors, Recognised& out) {
  constexpr std::int64_t kStem = 64;
  const Shape stem = shape_of(tensors, "conv1.weight");
  if (stem.empty() || stem[0] == kStem) return;
  out.misfits.push_back({"a width of " + std::to_string(stem[0]) + ": conv1.weight has shape " +
                             shape_text(stem) + ", needs 64 channels",
                         "supported are widths of 64, 128, 256 and 512 alone (widen_factor=1)"});
}

}  // namespace

std::optional<Recognised> recognise(const NamedTensors& tensors) {
  for (const char* name : {"conv1.weight", "layer1.0.conv1.weight", "layer4.0.conv1.weight"})
    if (!tensors.contains(name)) return std::nullopt;
  Recognised out;
  out.misfits = misfits_of_kernel(tensors, "conv1.weight", 7);
  read_widths(tensors, out);
  read_depth(tensors, out);
  read_norm(tensors, out);
  read_shortcuts(tensors, out);
  out.guesses.push_back({"",
                         "shapes do not tell strides: taken as MONAI's defaults, a first "
                         "convolution with stride 1 (conv1_t_stride), then a max pool"});
  out.guesses.push_back({"",
                         "shapes do not tell the activation: taken as MONAI's default, ReLU (act); "
                         "others are not supported"});
  return out;
}

}  // namespace homolog::model::resnet

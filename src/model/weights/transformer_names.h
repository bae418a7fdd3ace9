// What names and shapes of weights tell about a transformer (transformer.h).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "model/backbone_entry.h"
#include "model/blocks/transformer.h"

namespace homolog::model {

// The plan under a prefix of names ("", "vit."); nothing where a name or shape is another
// network's. Shapes do not tell heads: 64 channels each where that divides the width, else MONAI's
// 12, else one. Nor do they tell fixed positions from trained ones: trained.
std::optional<TransformerPlan> recognise_transformer(const backbone::NamedTensors& tensors,
                                                     const std::string& prefix);

// As options below "model.vit" or "model.unetr".
std::map<std::string, std::string> options_of(const TransformerPlan& plan,
                                              const std::string& prefix);

// The cube of patches that a position table was made for, in voxels; 0s where it is no cube.
backbone::Size3 crop_of(const backbone::NamedTensors& tensors, const std::string& prefix,
                        std::int64_t patch);

// Blocks numbered from 0 without a gap, `name` holding "%" for the number.
std::int64_t count_numbered(const backbone::NamedTensors& tensors, const std::string& name);

// Head count for a width: see recognise_transformer.
std::int64_t assumed_heads(std::int64_t width, std::int64_t channels_each);

// A tensor's shape, empty where it is missing.
std::vector<std::int64_t> shape_of(const backbone::NamedTensors& tensors, const std::string& name);

}  // namespace homolog::model

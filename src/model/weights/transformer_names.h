// What names and shapes of weights tell about a plain transformer (transformer.h), which ViT and
// UNETR share.
#pragma once

#include <optional>
#include <string>

#include "model/backbone_entry.h"

namespace homolog::model {

struct ReadTransformer {
  std::int64_t patch = 0, layers = 0;
  bool cls_token = false;
  backbone::Recognised told{};  // its options, crop, guesses and misfits
};

// The transformer under a prefix of names ("", "vit."), as options below `option` ("model.vit").
// Nothing where the names are not its own. Shapes do not tell heads: 64 channels each where that
// divides the width, else MONAI's 12, else one. Nor do they tell fixed positions from trained ones:
// trained.
std::optional<ReadTransformer> read_transformer(const backbone::NamedTensors& tensors,
                                                const std::string& prefix,
                                                const std::string& option);

// Head count for a width: see above.
std::int64_t assumed_heads(std::int64_t width, std::int64_t channels_each);

}  // namespace homolog::model

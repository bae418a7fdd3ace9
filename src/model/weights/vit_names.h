// What names and shapes of weights tell about a ViT (vit.h).
#pragma once

#include <optional>

#include "model/backbone_entry.h"

namespace homolog::model::vit {

std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors);

}  // namespace homolog::model::vit

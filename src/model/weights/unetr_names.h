// What names and shapes of weights tell about a UNETR (unetr.h).
#pragma once

#include <optional>

#include "model/backbone_entry.h"

namespace homolog::model::unetr {

std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors);

}  // namespace homolog::model::unetr

// What names and shapes of weights tell about a 3D ResNet (resnet.h).
#pragma once

#include <optional>

#include "model/backbone_entry.h"

namespace homolog::model::resnet {

// The options of MONAI's ResNet with these tensors; a layer of classes behind it is no part of it.
std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors);

}  // namespace homolog::model::resnet

// Reads the options of a Swin UNETR from the names and shapes of its weights.
#pragma once

#include <optional>

#include "model/backbone_entry.h"

namespace homolog::model::swin {

// "model.swin_unetr.*" except drop_path, which leaves no trace in weights; any crop. Nothing where
// a name of MONAI's SwinUNETR is missing or a shape contradicts another.
std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors);

}  // namespace homolog::model::swin

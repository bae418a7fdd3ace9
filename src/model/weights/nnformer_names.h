// What names and shapes of weights tell about an nnFormer (nnformer.h).
#pragma once

#include <optional>

#include "model/backbone_entry.h"

namespace homolog::model::nnformer {

// Everything but drop_path and rel_index, which leave no trace. Windows are read from the bias
// tables, so those that a small grid shrank are small. The crop is 0 where no position table is.
std::optional<backbone::Recognised> recognise(const backbone::NamedTensors& tensors);

}  // namespace homolog::model::nnformer

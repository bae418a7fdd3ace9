// Names that a pickle may hold (docs/formats/weights.md): of tensors, which are rebuilt here, and
// of values, which stay notes. All others are refused.
#pragma once

#include <string>

namespace homolog::model {

bool is_inert(const std::string& global);  // "module.name"

// Tensors that torch.save writes and nobody reads here, in words: "a sparse tensor"; else "".
std::string unsupported_tensor(const std::string& global);

}  // namespace homolog::model

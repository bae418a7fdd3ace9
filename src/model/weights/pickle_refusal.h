// Why a name in a pickle ends its reading, in words.
#pragma once

#include <cstddef>
#include <string>

#include "model/weights/pickle.h"

namespace homolog::model {

// Throws Fault::Data: what the name stands for, where the rules know it for harmless, else that the
// pickle would run it. `offset`: bytes read so far.
[[noreturn]] void refuse_name(const PickleRules& rules, const std::string& global,
                              std::size_t offset, const std::string& origin);

}  // namespace homolog::model

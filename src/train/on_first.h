// What rank 0 does alone, with its outcome known to all: nobody is left waiting for a rank 0 that
// failed.
#pragma once

#include <functional>
#include <string>

#include "cluster/comm/communicator.h"

namespace homolog::train {

// Runs `body` on rank 0. All ranks return its text, or throw its Error.
std::string on_first(comm::Communicator& communicator, const std::function<std::string()>& body);

}  // namespace homolog::train

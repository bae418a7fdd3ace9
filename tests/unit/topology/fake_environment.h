// An environment made of the variables that a test names.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "cluster/topology/environment.h"

namespace homolog::topology {

using Variables = std::map<std::string, std::string>;

inline Environment fake(Variables variables) {
  return [variables](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

}  // namespace homolog::topology

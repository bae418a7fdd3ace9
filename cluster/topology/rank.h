// This process's place in the world.
#pragma once

#include <string>

namespace homolog::topology {

struct Rank {
  int index = 0, size = 1;              // in the world
  int local_index = 0, local_size = 1;  // on this host
  std::string host;
};

}  // namespace homolog::topology

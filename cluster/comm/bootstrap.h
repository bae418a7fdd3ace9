// From where the workers meet to a world of connected workers, without MPI.
#pragma once

#include <string>

#include "cluster/comm/roll_call.h"
#include "cluster/topology/environment.h"
#include "cluster/topology/rendezvous.h"

namespace homolog::comm {

struct Joined {
  World world;
  Socket ring_listener;
  std::string hub_address;  // by which this rank reaches rank 0's host
};

// Collective. Throws Fault::Environment or Fault::Usage, naming who is missing, who disagrees, what
// else is at the place, or which earlier job left the file.
Joined meet(const topology::Rendezvous& where, const topology::Place& place, double timeout_s);

}  // namespace homolog::comm

// Ends the world when a body fails on this rank alone, before anything around the body is
// destroyed: collectives may still write there, and a hung read would hold up a destructor and the
// other ranks.
#pragma once

#include <exception>

#include "base/error.h"
#include "cluster/comm/communicator.h"

namespace homolog::train {

class Fence {
 public:
  // ends_world: false rethrows only. Alone in the world it never does more.
  Fence(comm::Communicator& communicator, bool ends_world)
      : communicator_(communicator), active_(ends_world && communicator.rank().size > 1) {}

  // To be called in the scope that owns arena, streams and writers. Logs and aborts on what this
  // rank alone throws; rethrows faults that every rank finds at the same point.
  template <class Body>
  auto run(const Body& body) const {
    try {
      return body();
    } catch (const std::exception& e) {
      if (active_) judge(e);
      throw;
    }
  }

 private:
  void judge(const std::exception& e) const;

  comm::Communicator& communicator_;
  bool active_;
};

}  // namespace homolog::train

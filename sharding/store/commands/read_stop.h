// What reads a store long looks here between two crops or shards.
#pragma once

#include "base/stop_signal.h"

namespace homolog::store {

// Throws Fault::Stopped once a stop was asked for: reading leaves nothing behind.
inline void stop_reading_if_asked() {
  stop_if_asked("nothing was written", "run the same command again");
}

}  // namespace homolog::store

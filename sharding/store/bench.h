// How fast a store's pairs are read, beside memcpy of the same bytes: the best a reader could do.
#pragma once

#include "sharding/store/pair_store.h"

namespace homolog::store {

struct ReadSpeed {
  double reader = 0, copy = 0;  // pairs a second
};

// Warm: read, decoded, checksum verified, over about `seconds`. Throws what reading threw, from
// whichever thread: Fault::Data for a damaged crop.
ReadSpeed bench(const PairStore& pairs, int threads, double seconds);

}  // namespace homolog::store

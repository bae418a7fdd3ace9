// What a store's encoding loses.
#pragma once

#include "sharding/store/shard_format.h"

namespace homolog::shard {

struct QuantisationError {
  double step_hu = 1;                 // between two stored levels
  double largest_hu = 0, rms_hu = 0;  // of what a reader decodes, over all HU of the window
};

// Of every whole HU within the window, encoded and decoded as training does.
QuantisationError quantisation_error(const store::ShardHeader& header);

}  // namespace homolog::shard

// Where the trainer's batches come from: pairs of a store (pair_source) or SAM's patches
// (patch_source).
#pragma once

#include <cstdint>

#include "data/pair_stream.h"
#include "objective/objective.h"

namespace homolog::train {

struct Batch {
  objective::Views views;       // on the training device
  std::int64_t pairs = 0;       // samples in it (query/key pairs; view pairs for SAM)
  data::Cursor next;            // of the source, once the step that used this batch is done
  double wait_seconds = 0;      // spent waiting for data
  double transfer_seconds = 0;  // spent turning stored integers into network tensors
};

class Source {
 public:
  virtual ~Source() = default;
  virtual Batch next() = 0;  // this rank's next local batch
  virtual std::int64_t steps_per_epoch() const = 0;
  virtual std::int64_t validation_batches() const = 0;  // of this rank; on all 0: no validation
  // This rank's share of samples that do not depend on the world; the same on every call; cursor
  // untouched. Batches may differ in size: means are over samples.
  virtual Batch validation_batch(std::int64_t index) = 0;
  virtual data::StreamCounters counters() const = 0;
};

}  // namespace homolog::train

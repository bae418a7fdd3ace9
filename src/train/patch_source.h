// SAM's view pairs as the trainer's batches: the stream's tensors, moved to the training device.
// Gives "{first,second}_B1ZYX", "{first,second}_grid_B3ZYX", "{first,second}_valid_B1ZYX".
#pragma once

#include "data/volume_stream.h"
#include "train/session.h"
#include "train/source.h"

namespace homolog::train {

class PatchSource : public Source {
 public:
  // `plan`: its rank, batch and seed are taken from `start`. Throws as VolumeStream does.
  PatchSource(data::VolumeStreamPlan plan, std::size_t volumes, data::VolumeStream::Load load,
              const Start& start);
  Batch next() override;
  std::int64_t steps_per_epoch() const override { return stream_.steps_per_epoch(); }
  // SAM is judged by landmarks (homolog evaluate landmarks), not by its loss on held-out views.
  std::int64_t validation_batches() const override { return 0; }
  Batch validation_batch(std::int64_t index) override;
  data::StreamCounters counters() const override { return stream_.counters(); }

 private:
  torch::Device device_;
  data::VolumeStream stream_;
};

}  // namespace homolog::train

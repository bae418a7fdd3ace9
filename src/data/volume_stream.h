// SAM's batches: pairs of views from volumes held in memory on the network's grid, made ahead by
// threads. Order and content are a pure function of (seed, epoch, index).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/options.h"
#include "data/pair_stream.h"
#include "data/two_views.h"

namespace homolog::data {

struct VolumeStreamPlan {
  ViewPlan view;
  std::int64_t patches_per_volume = 1;  // view pairs of each volume in an epoch
  std::int64_t cache_mib =
      16384;                   // memory for prepared volumes; beyond it the oldest is read again
  int threads = 1, ahead = 4;  // threads that make views, batches kept ready
  std::uint64_t seed = 123;
  int rank = 0, world = 1;
  std::int64_t batch = 1,
               accumulate = 1;  // view pairs per rank and micro batch, micro batches per step
};
void declare(Options& options,
             VolumeStreamPlan& plan);  // view's keys and data.{patches_per_volume, ...}

// The b-th row of the first view and of the second show the same body.
struct ViewBatch {
  at::Tensor first_B1ZYX, second_B1ZYX;            // float, LPS, intensities of the map
  at::Tensor first_grid_B3ZYX, second_grid_B3ZYX;  // mm, channels x, y, z
  at::Tensor first_valid_B1ZYX, second_valid_B1ZYX;
  std::vector<std::uint64_t> ids;  // of the samples: epoch * samples per epoch + index
  Cursor next;                     // after the step that uses this batch
};

// Where sample `index` of `epoch` comes from (pure).
struct SampleSource {
  std::int64_t volume = 0;
  std::uint64_t id = 0;
};
SampleSource sample_source(std::uint64_t seed, std::uint64_t epoch, std::int64_t index,
                           std::int64_t volumes, std::int64_t patches_per_volume);

class VolumeStream {
 public:
  // Called from background threads, one at a time. A volume for which it throws Fault::Data is left
  // out with a warning, and the next one that loads stands in for it.
  using Load = std::function<Volume(std::size_t)>;
  // Throws Fault::Data when there are too few samples for one global batch, Fault::Usage for the
  // plan.
  VolumeStream(VolumeStreamPlan plan, std::size_t volumes, Load load, Cursor start);
  ~VolumeStream();
  ViewBatch next();  // blocks; throws Fault::Data when no volume loads, else what loading threw
  std::int64_t steps_per_epoch() const;
  StreamCounters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace homolog::data

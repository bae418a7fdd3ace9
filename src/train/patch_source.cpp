#include "train/patch_source.h"

#include "base/clock.h"
#include "base/error.h"

namespace homolog::train {
namespace {

data::VolumeStreamPlan placed(data::VolumeStreamPlan plan, const Start& start) {
  plan.seed = start.seed;
  plan.rank = start.rank;
  plan.world = start.world;
  plan.batch = start.batch;
  plan.accumulate = start.accumulate;
  return plan;
}

}  // namespace

PatchSource::PatchSource(data::VolumeStreamPlan plan, std::size_t volumes,
                         data::VolumeStream::Load load, const Start& start)
    : device_(start.device),
      stream_(placed(std::move(plan), start), volumes, std::move(load), start.cursor) {}

Batch PatchSource::next() {
  Batch batch;
  Stopwatch watch;
  data::ViewBatch views = stream_.next();
  batch.wait_seconds = watch.lap();
  batch.views.tensors = {{"first_B1ZYX", views.first_B1ZYX.to(device_)},
                         {"second_B1ZYX", views.second_B1ZYX.to(device_)},
                         {"first_grid_B3ZYX", views.first_grid_B3ZYX.to(device_)},
                         {"second_grid_B3ZYX", views.second_grid_B3ZYX.to(device_)},
                         {"first_valid_B1ZYX", views.first_valid_B1ZYX.to(device_)},
                         {"second_valid_B1ZYX", views.second_valid_B1ZYX.to(device_)}};
  batch.pairs = static_cast<std::int64_t>(views.ids.size());
  batch.views.ids = std::move(views.ids);
  batch.next = views.next;
  batch.transfer_seconds = watch.lap();
  return batch;
}

Batch PatchSource::validation_batch(std::int64_t index) {
  throw Error(Fault::Usage, "SAM's patches have no validation batch " + std::to_string(index),
              "set schedule.validate_every = 0");
}

}  // namespace homolog::train

#include "data/volume_stream.h"

#include <ATen/ops/stack.h>

#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "data/body_cache.h"

namespace homolog::data {

void declare(Options& o, VolumeStreamPlan& p) {
  declare(o, p.view);
  o.add("data.patches_per_volume", p.patches_per_volume,
        "view pairs cut from each volume in an epoch", {.min = 1, .max = 1e6});
  o.add("data.cache_mib", p.cache_mib, "memory for volumes on SAM's grid",
        {.min = 1, .unit = "MiB"});
  o.add("data.threads", p.threads, "threads that cut views", {.min = 1, .max = 256});
  o.add("data.ahead", p.ahead, "batches kept ready", {.min = 1, .max = 256});
}

SampleSource sample_source(std::uint64_t seed, std::uint64_t epoch, std::int64_t index,
                           std::int64_t volumes, std::int64_t patches_per_volume) {
  const auto per_volume = static_cast<std::uint64_t>(patches_per_volume);
  const std::uint64_t pass = epoch * per_volume + static_cast<std::uint64_t>(index / volumes);
  const auto order = CounterRng(seed, "sam.order", pass).permutation(volumes);
  return {
      order[static_cast<std::size_t>(index % volumes)],
      epoch * per_volume * static_cast<std::uint64_t>(volumes) + static_cast<std::uint64_t>(index)};
}

struct VolumeStream::State {
  VolumeStreamPlan plan;
  std::int64_t volumes = 0;
  BodyCache cache;
  Cursor start;
  mutable std::mutex mutex;
  std::condition_variable room, ready;
  std::int64_t claimed = 0, taken = 0;  // batches since `start`
  std::map<std::int64_t, ViewBatch> done;
  std::exception_ptr fault;
  bool stopping = false;
  std::map<std::int64_t, std::string> unusable;  // volumes that failed to load, and why
  std::vector<std::thread> threads;

  State(VolumeStreamPlan p, std::size_t count, Load load, Cursor c)
      : plan(std::move(p)),
        volumes(static_cast<std::int64_t>(count)),
        cache([this,
               load = std::move(load)](std::size_t i) { return prepare_body(load(i), plan.view); },
              plan.cache_mib << 20),
        start(c) {}

  std::int64_t global_batch() const { return plan.batch * plan.accumulate * plan.world; }
  std::int64_t steps() const { return volumes * plan.patches_per_volume / global_batch(); }

  // Cursor of the step that micro batch `number` belongs to.
  Cursor cursor_of(std::int64_t number) const {
    const auto per_epoch = static_cast<std::uint64_t>(steps());
    const std::uint64_t step = start.epoch * per_epoch + start.position +
                               static_cast<std::uint64_t>(number / plan.accumulate);
    return {step / per_epoch, step % per_epoch};
  }

  bool is_unusable(std::int64_t volume) const {
    const std::lock_guard lock(mutex);
    return unusable.contains(volume);
  }
  void leave_out(std::int64_t volume, const Error& why) {
    const std::lock_guard lock(mutex);
    if (unusable.emplace(volume, why.summary()).second)
      log::warn("volume left out", {{"volume", volume}, {"reason", why.summary()}});
  }

  // `volume`, or the first one after it that loads: which depends on the volumes alone, not on the
  // order in which threads or ranks meet the broken ones.
  std::shared_ptr<const Volume> body(std::int64_t volume) {
    for (std::int64_t tried = 0; tried < volumes; ++tried, volume = (volume + 1) % volumes) {
      if (is_unusable(volume)) continue;
      try {
        return cache.get(static_cast<std::size_t>(volume));
      } catch (const Error& fault) {
        if (fault.fault() != Fault::Data) throw;
        leave_out(volume, fault);
      }
    }
    const std::lock_guard lock(mutex);
    throw Error(Fault::Data,
                "none of the " + std::to_string(volumes) +
                    " volumes could be loaded; the first: " + unusable.begin()->second,
                "mend the files, or run homolog catalog again");
  }

  ViewBatch make(std::int64_t number) {
    const Cursor at = cursor_of(number);
    const std::int64_t micro = number % plan.accumulate;
    const std::int64_t first = static_cast<std::int64_t>(at.position) * global_batch() +
                               (micro * plan.world + plan.rank) * plan.batch;
    std::array<std::vector<at::Tensor>, 6> rows;
    ViewBatch batch;
    for (std::int64_t b = 0; b < plan.batch; ++b) {
      const SampleSource source =
          sample_source(plan.seed, at.epoch, first + b, volumes, plan.patches_per_volume);
      CounterRng rng(plan.seed, "sam.views", source.id);
      TwoViews v = cut_two_views(*body(source.volume), plan.view, rng);
      const std::array<at::Tensor, 6> parts = {v.first.image_1ZYX, v.second.image_1ZYX,
                                               v.first.grid_3ZYX,  v.second.grid_3ZYX,
                                               v.first.valid_1ZYX, v.second.valid_1ZYX};
      for (std::size_t i = 0; i < 6; ++i) rows[i].push_back(parts[i]);
      batch.ids.push_back(source.id);
    }
    batch.first_B1ZYX = at::stack(rows[0]);
    batch.second_B1ZYX = at::stack(rows[1]);
    batch.first_grid_B3ZYX = at::stack(rows[2]);
    batch.second_grid_B3ZYX = at::stack(rows[3]);
    batch.first_valid_B1ZYX = at::stack(rows[4]);
    batch.second_valid_B1ZYX = at::stack(rows[5]);
    const bool last = at.position + 1 == static_cast<std::uint64_t>(steps());
    batch.next = last ? Cursor{at.epoch + 1, 0} : Cursor{at.epoch, at.position + 1};
    return batch;
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      room.wait(lock, [&] { return stopping || claimed < taken + plan.ahead; });
      if (stopping) return;
      const std::int64_t number = claimed++;
      lock.unlock();
      std::exception_ptr failed;
      ViewBatch batch;
      try {
        batch = make(number);
      } catch (...) {
        failed = std::current_exception();
      }
      lock.lock();
      if (failed && !fault) fault = failed;
      if (!failed) done.emplace(number, std::move(batch));
      ready.notify_all();
      if (failed) return;
    }
  }
};

VolumeStream::VolumeStream(VolumeStreamPlan plan, std::size_t volumes, Load load, Cursor start) {
  validate(plan.view);
  state_ = std::make_unique<State>(std::move(plan), volumes, std::move(load), start);
  State& s = *state_;
  if (volumes == 0 || s.steps() < 1) {
    throw Error(
        Fault::Data,
        std::to_string(volumes) + " volumes with " + std::to_string(s.plan.patches_per_volume) +
            " patches each do not fill one global batch of " + std::to_string(s.global_batch()),
        "add volumes, raise data.patches_per_volume, or lower data.batch");
  }
  for (int i = 0; i < s.plan.threads; ++i) s.threads.emplace_back([&s] { s.work(); });
}

VolumeStream::~VolumeStream() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->room.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

ViewBatch VolumeStream::next() {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  s.ready.wait(lock, [&] { return s.done.contains(s.taken) || s.fault; });
  const auto found = s.done.find(s.taken);
  if (found == s.done.end()) std::rethrow_exception(s.fault);
  ViewBatch batch = std::move(found->second);
  s.done.erase(found);
  ++s.taken;
  s.room.notify_all();
  return batch;
}

std::int64_t VolumeStream::steps_per_epoch() const { return state_->steps(); }

StreamCounters VolumeStream::counters() const {
  StreamCounters c;
  c.bytes_decoded = static_cast<std::uint64_t>(state_->cache.bytes_made());
  const std::lock_guard lock(state_->mutex);
  c.queue_depth = static_cast<std::int64_t>(state_->done.size());
  c.queue_capacity = state_->plan.ahead;
  return c;
}

}  // namespace homolog::data

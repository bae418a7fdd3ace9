// Joins stream, to_network and augment on the training device.
// Host buffers are held until the copies that read them have run, so no step waits for a copy.
#include "train/pair_source.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <deque>
#include <limits>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/host_memory.h"
#include "data/pair_fetcher.h"
#include "data/to_network.h"

namespace homolog::train {

void declare(Options& o, PairSourcePlan& p) {
  o.add("data.store", p.store, "pair store that homolog shard wrote");
  o.add("data.threads", p.threads, "threads that read and decode", {.min = 1, .max = 256});
  o.add("data.ahead", p.ahead, "batches kept ready", {.min = 1, .max = 256});
  o.add("data.order_block", p.order_block,
        "neighbours in the store that are read soon after each other; 0: the whole store is "
        "shuffled",
        {.min = 0, .unit = "pairs"});
  o.add("data.order_mixed", p.order_mixed, "such blocks that are shuffled together",
        {.min = 1, .max = 1 << 20});
  o.add("data.staged", p.staged,
        "folder of homolog store stage on this node: shards found there are read there");
  o.add("data.page_cache", p.page_cache,
        "whether shards are read through it; auto: not where the training pairs are larger than "
        "this job's memory, since each would be forgotten before its next turn",
        {.choices = {"auto", "used", "passed"}});
  o.add("data.bad_record_budget", p.bad_record_budget,
        "unreadable pairs that a rank replaces before the run ends", {.min = 0});
  o.add("data.read_timeout_s", p.read_timeout_s, "longest wait for one pair",
        {.min = 0.1, .unit = "s"});
  o.add("data.augment_teacher", p.augment_teacher,
        "rotate and add noise to what the target network sees");
  o.add("data.random_shift", p.random_shift, "move crops within their stored margin");
  o.add("data.validation_pairs", p.validation_pairs,
        "held-out pairs that a validation looks at, the same ones for any number of workers; "
        "0: all",
        {.min = 0});
  o.add("data.rotation_degrees", p.augment.rotation_degrees, "largest in-plane rotation",
        {.min = 0, .max = 180, .unit = "degrees"});
  o.add("data.noise", p.augment.noise, "standard deviation of the noise, on the [0, 1] scale",
        {.min = 0, .max = 10});
}

std::uint64_t PairSourcePlan::cached_bytes() const {
  if (page_cache == "auto") return memory_limit();
  return page_cache == "passed" ? 0 : std::numeric_limits<std::uint64_t>::max();
}

PairStoreFacts pair_store_facts(const std::filesystem::path& store) {
  if (store.empty())
    throw Error(Fault::Usage, "data.store is not set",
                "give --data.store the folder that homolog shard wrote");
  const auto manifest = store::load_manifest(store);
  const Index3& c = manifest.header.crop;
  const std::int64_t m = 2 * manifest.header.margin;
  return {{c.x - m, c.y - m, c.z - m},    manifest.header.window_low_hu,
          manifest.header.window_high_hu, manifest.pairs("train"),
          manifest.pairs("validation"),   hex64(manifest.hash)};
}

struct PairSource::State {
  PairSourcePlan plan;
  Start start;
  data::PairStream stream;
  data::PairFetcher validation;
  // Batches whose copies to the device may still run.
  std::deque<std::pair<data::PairBatch, c10::Event>> in_flight;

  State(const PairSourcePlan& p, const Start& s)
      : plan(p),
        start(s),
        stream(
            {p.store, "train", s.seed, s.rank, s.world, s.batch, s.accumulate, p.threads, p.ahead,
             p.bad_record_budget, p.read_timeout_s, p.locality(), p.staged, p.cached_bytes()},
            s.cursor),
        validation({p.store, "validation", p.staged}, p.bad_record_budget) {}

  // The first so many held-out pairs of a fixed order are looked at; rank r takes every world-th.
  std::int64_t validation_pairs() const {
    const std::int64_t held_out = validation.store().pairs(), limit = plan.validation_pairs;
    return limit > 0 ? std::min(limit, held_out) : held_out;
  }
  std::int64_t validation_share() const {
    return (validation_pairs() - start.rank + start.world - 1) / start.world;
  }

  int width() const { return stream.window_high_hu() - stream.window_low_hu(); }
  objective::Views views(const data::PairBatch& batch, std::uint64_t epoch, bool training) const;
  void hold(data::PairBatch batch);
};

objective::Views PairSource::State::views(const data::PairBatch& batch, std::uint64_t epoch,
                                          bool training) const {
  objective::Views views;
  views.ids = batch.ids;
  const auto add = [&](const std::string& name, const at::Tensor& stored_BDHW, data::View view) {
    const at::Tensor device_BDHW = stored_BDHW.to(start.device, /*non_blocking=*/true);
    const at::Tensor crop_BDHW = data::take_crop(device_BDHW, stream.margin(), batch.ids,
                                                 start.seed, epoch, training && plan.random_shift);
    const at::Tensor plain_B1XYZ = data::to_network(crop_BDHW, width());
    views.tensors[name] = plain_B1XYZ;
    views.tensors["target_" + name] =
        plan.augment_teacher
            ? data::augment(plain_B1XYZ, batch.ids, start.seed, epoch, view, plan.augment)
            : plain_B1XYZ;
  };
  add("query_B1XYZ", batch.query_BDHW, data::View::Query);
  add("key_B1XYZ", batch.key_BDHW, data::View::Key);
  return views;
}

void PairSource::State::hold(data::PairBatch batch) {
  if (start.device.is_cpu()) return;
  c10::Event event(start.device.type());
  event.record(c10::impl::VirtualGuardImpl(start.device.type()).getStream(start.device));
  in_flight.emplace_back(std::move(batch), std::move(event));
  while (in_flight.front().second.query()) {
    in_flight.pop_front();
    if (in_flight.empty()) break;
  }
}

PairSource::PairSource(const PairSourcePlan& plan, const Start& start)
    : state_(std::make_unique<State>(plan, start)) {}
PairSource::~PairSource() {
  for (auto& [batch, event] : state_->in_flight) event.synchronize();
}

Batch PairSource::next() {
  State& s = *state_;
  Stopwatch watch;
  data::PairBatch stored = s.stream.next();
  Batch batch;
  batch.wait_seconds = watch.lap();
  // `next` is the cursor after this batch's step: at 0 the step closed the epoch before.
  const std::uint64_t epoch = stored.next.position == 0 ? stored.next.epoch - 1 : stored.next.epoch;
  batch.views = s.views(stored, epoch, true);
  batch.pairs = static_cast<std::int64_t>(stored.ids.size());
  batch.next = stored.next;
  s.hold(std::move(stored));
  batch.transfer_seconds = watch.lap();
  return batch;
}

std::int64_t PairSource::steps_per_epoch() const { return state_->stream.steps_per_epoch(); }

std::int64_t PairSource::validation_batches() const {
  const std::int64_t size = state_->start.batch;
  return (state_->validation_share() + size - 1) / size;
}

Batch PairSource::validation_batch(std::int64_t index) {
  State& s = *state_;
  Stopwatch watch;
  const auto& header = s.validation.store().header();
  const std::int64_t pairs = s.validation.store().pairs(), first = index * s.start.batch,
                     size = std::min(s.start.batch, s.validation_share() - first);
  const at::Tensor empty_BDHW =
      at::empty({size, header.crop.z, header.crop.y, header.crop.x}, at::kShort);
  data::PairBatch stored{empty_BDHW, at::empty_like(empty_BDHW), {}, s.start.cursor};
  // An order all its own: validation must be the same in every epoch, run and world.
  const data::PairOrder order(static_cast<std::uint64_t>(pairs), 0, 0);
  const data::Partition whole{pairs, s.validation_pairs(), 1, 0, 1};  // for stand-ins
  data::Watch ignored{-1};
  for (std::int64_t row = 0; row < size; ++row) {
    const std::int64_t found = s.validation.fetch(
        order, whole, (first + row) * s.start.world + s.start.rank,
        stored.query_BDHW.data_ptr<std::int16_t>() + row * header.voxels(),
        stored.key_BDHW.data_ptr<std::int16_t>() + row * header.voxels(), ignored);
    stored.ids.push_back(s.validation.store().global_index(found));
  }
  Batch batch;
  batch.wait_seconds = watch.lap();
  batch.views = s.views(stored, 0, false);
  batch.pairs = size;
  batch.next = s.start.cursor;
  batch.transfer_seconds = watch.lap();
  return batch;
}

data::StreamCounters PairSource::counters() const {
  data::StreamCounters c = state_->stream.counters();
  const data::StreamCounters v = state_->validation.counters();
  c.bytes_read += v.bytes_read;
  c.bytes_decoded += v.bytes_decoded;
  c.quarantined += v.quarantined;
  c.retries += v.retries;
  c.copies_left += v.copies_left;
  return c;
}

}  // namespace homolog::train

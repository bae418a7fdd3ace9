// Composes order, fetcher, buffers and decode pool.
// Batch number s of the stream is a function of the start cursor and s; nothing else is counted.
#include "data/pair_stream.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "data/batch_buffers.h"
#include "data/decode_pool.h"
#include "data/pair_fetcher.h"
#include "data/pair_order.h"
#include "data/read_ahead.h"

namespace homolog::data {
namespace {

// Of each thread, and at most: pairs that are read ahead, and readers where the page cache is
// passed.
constexpr int kExpectedPairs = 12, kMostExpected = 32;
constexpr int kReaders = 8, kMostReaders = 32;

struct Place {
  std::uint64_t epoch;
  std::int64_t step, micro;
};

// Lives as long as any thread that reads.
struct Reading {
  PairStreamPlan plan;
  Cursor start;
  PairFetcher fetcher;
  Partition partition;
  BatchBuffers buffers;
  std::optional<ReadAhead> ahead;  // where the page cache is passed

  Reading(PairStreamPlan p, Cursor from)
      : plan(std::move(p)),
        start(from),
        fetcher({plan.store, plan.split, plan.staged, plan.cached_bytes}, plan.bad_record_budget),
        partition{fetcher.store().pairs(), plan.batch, plan.accumulate, plan.rank, plan.world},
        buffers({plan.batch, fetcher.store().header().crop.z, fetcher.store().header().crop.y,
                 fetcher.store().header().crop.x}) {
    if (fetcher.store().page_cache() == store::PageCache::Passed)
      ahead.emplace(fetcher.store(), std::min(kReaders * plan.threads, kMostReaders));
  }

  Place place(std::uint64_t sequence) const {
    const auto accumulate = static_cast<std::uint64_t>(partition.accumulate);
    const auto steps = static_cast<std::uint64_t>(partition.steps());
    const std::uint64_t total = start.position + sequence / accumulate;
    return {start.epoch + total / steps, static_cast<std::int64_t>(total % steps),
            static_cast<std::int64_t>(sequence % accumulate)};
  }
  PairOrder order(std::uint64_t epoch) const {
    return {static_cast<std::uint64_t>(partition.pairs), plan.seed, epoch, plan.locality};
  }
  // Rows are counted through: those of batch 0, of batch 1, and so on.
  std::uint64_t row_number(std::uint64_t sequence, std::int64_t row) const {
    return sequence * static_cast<std::uint64_t>(plan.batch) + static_cast<std::uint64_t>(row);
  }
  std::uint64_t expected_rows() const {
    return static_cast<std::uint64_t>(
        std::min(plan.threads * kExpectedPairs, plan.threads + kMostExpected));
  }
  void expect(std::uint64_t number) {
    const auto rows = static_cast<std::uint64_t>(plan.batch);
    const Place at = place(number / rows);
    const std::int64_t position =
        partition.position(at.step, at.micro, static_cast<std::int64_t>(number % rows));
    const PairOrder now = order(at.epoch);
    if (!ahead) return fetcher.expect(now, position);
    ahead->expect(number, static_cast<std::int64_t>(now.at(static_cast<std::uint64_t>(position))));
  }
  // A read that never ends is named here, where it is waited for.
  std::unique_ptr<PackedPair> take(std::uint64_t number, std::int64_t index, Watch& watch) {
    if (!ahead) return nullptr;
    watch = 2 * index;
    auto brought = ahead->take(number);
    watch = -1;
    return brought;
  }
  PairBatch open(std::uint64_t sequence) {
    const Place at = place(sequence);
    const bool last = at.step + 1 == partition.steps();
    return {
        buffers.take(), buffers.take(),
        std::vector<std::uint64_t>(static_cast<std::size_t>(plan.batch)),
        last ? Cursor{at.epoch + 1, 0} : Cursor{at.epoch, static_cast<std::uint64_t>(at.step) + 1}};
  }
  void fill(std::uint64_t sequence, std::int64_t row, PairBatch& batch, Watch& watch) {
    const Place at = place(sequence);
    const std::uint64_t number = row_number(sequence, row);
    expect(number + expected_rows());  // while this row is decoded, the disk brings later ones
    const PairOrder now = order(at.epoch);
    const std::int64_t position = partition.position(at.step, at.micro, row);
    auto brought = take(
        number, static_cast<std::int64_t>(now.at(static_cast<std::uint64_t>(position))), watch);
    const std::int64_t voxels = fetcher.store().header().voxels();
    const std::int64_t index = fetcher.fetch(
        now, partition, position, batch.query_BDHW.data_ptr<std::int16_t>() + row * voxels,
        batch.key_BDHW.data_ptr<std::int16_t>() + row * voxels, watch, brought.get());
    if (brought) ahead->give_back(std::move(brought));
    batch.ids[static_cast<std::size_t>(row)] = fetcher.store().global_index(index);
  }
};

void check(const PairStreamPlan& plan) {
  if (plan.batch < 1 || plan.accumulate < 1 || plan.threads < 1 || plan.ahead < 1 ||
      plan.world < 1 || plan.rank < 0 || plan.rank >= plan.world || !(plan.read_timeout_s > 0)) {
    throw Error(Fault::Usage,
                "batch, accumulate, threads, ahead, world and read_timeout_s must be positive, "
                "rank below world");
  }
}

}  // namespace

struct PairStream::State {
  std::shared_ptr<Reading> reading;
  std::unique_ptr<DecodePool> pool;
  int ahead;
};

PairStream::PairStream(PairStreamPlan plan, Cursor start) : state_(std::make_unique<State>()) {
  check(plan);
  state_->ahead = plan.ahead;
  state_->reading = std::make_shared<Reading>(std::move(plan), start);
  const auto& reading = state_->reading;
  const PairStreamPlan& p = reading->plan;
  if (reading->partition.steps() == 0) {
    throw Error(Fault::Data,
                p.store.string() + " holds " + std::to_string(pairs()) + " pairs in split " +
                    p.split + ", one global batch needs " +
                    std::to_string(reading->partition.global_batch()) + " (batch " +
                    std::to_string(p.batch) + " x accumulate " + std::to_string(p.accumulate) +
                    " x " + std::to_string(p.world) + " ranks)",
                "lower batch or accumulate, use fewer ranks, or shard more pairs");
  }
  if (start.position > static_cast<std::uint64_t>(steps_per_epoch())) {
    throw Error(Fault::Data,
                "the cursor stands at batch " + std::to_string(start.position) +
                    " of an epoch of " + std::to_string(steps_per_epoch()),
                "resume with the store and global batch that the checkpoint was written with");
  }
  if (reading->ahead)
    for (std::uint64_t row = 0; row < reading->expected_rows(); ++row) reading->expect(row);
  state_->pool = std::make_unique<DecodePool>(
      DecodePool::Plan{p.threads, p.ahead, p.batch, p.read_timeout_s},
      DecodePool::Work{
          [reading](std::uint64_t s) { return reading->open(s); },
          [reading](std::uint64_t s, std::int64_t row, PairBatch& b, Watch& w) {
            reading->fill(s, row, b, w);
          },
          [reading](std::int64_t watched) { return reading->fetcher.describe(watched); }});
}
PairStream::~PairStream() = default;

PairBatch PairStream::next() { return state_->pool->next(); }
std::int64_t PairStream::steps_per_epoch() const { return state_->reading->partition.steps(); }
std::int64_t PairStream::pairs() const { return state_->reading->partition.pairs; }
std::array<std::int64_t, 3> PairStream::crop_xyz() const {
  const Index3& c = state_->reading->fetcher.store().header().crop;
  return {c.x, c.y, c.z};
}
int PairStream::margin() const { return state_->reading->fetcher.store().header().margin; }
int PairStream::window_low_hu() const {
  return state_->reading->fetcher.store().header().window_low_hu;
}
int PairStream::window_high_hu() const {
  return state_->reading->fetcher.store().header().window_high_hu;
}
std::uint64_t PairStream::store_hash() const {
  return state_->reading->fetcher.store().manifest().hash;
}
StreamCounters PairStream::counters() const {
  StreamCounters c = state_->reading->fetcher.counters();
  c.queue_depth = state_->pool->ready();
  c.queue_capacity = state_->ahead;
  return c;
}

}  // namespace homolog::data

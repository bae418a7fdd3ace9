// Reading with retries and quarantine.
// A replacement is a function of the position alone, so resumed and re-sharded runs agree on it.
#include "data/pair_fetcher.h"

#include <chrono>
#include <span>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace homolog::data {
namespace {
constexpr int kRetries = 3;
}

PairFetcher::PairFetcher(const store::StorePlace& place, std::int64_t budget)
    : store_(place), budget_(budget) {}

std::int64_t PairFetcher::fetch(const PairOrder& order, const Partition& partition,
                                std::int64_t position, std::int16_t* query, std::int16_t* key,
                                Watch& watch, const PackedPair* ahead) {
  std::int64_t index = static_cast<std::int64_t>(order.at(static_cast<std::uint64_t>(position)));
  for (std::int64_t attempt = 0; !read(index, query, key, watch, ahead); ++attempt) {
    if (attempt > 2 * budget_ + 8) {
      throw Error(Fault::Data, "no readable pair stands in for " + describe(2 * index),
                  "run homolog store verify and copy the broken shards again");
    }
    index = static_cast<std::int64_t>(
        order.at(static_cast<std::uint64_t>(partition.reserve(position, attempt))));
  }
  return index;
}

void PairFetcher::expect(const PairOrder& order, std::int64_t position) const {
  if (!waits_) return;
  const auto place =
      store_.at(static_cast<std::int64_t>(order.at(static_cast<std::uint64_t>(position))));
  for (const std::uint32_t row : {place.pair.query, place.pair.key}) place.shard->will_read(row);
}

bool PairFetcher::read(std::int64_t index, std::int16_t* query, std::int16_t* key, Watch& watch,
                       const PackedPair* ahead) {
  {
    const std::lock_guard lock(mutex_);
    if (bad_.contains(index)) return false;
  }
  if (ahead != nullptr && ahead->index == index && unpack(*ahead, query, key)) return true;
  const auto place = store_.at(index);
  try {
    watch = 2 * index;
    read_crop(index, place.pair.query, query);
    watch = 2 * index + 1;
    read_crop(index, place.pair.key, key);
    watch = -1;
    return true;
  } catch (const Error& e) {
    watch = -1;
    quarantine(index, e.summary());
    return false;
  }
}

void PairFetcher::read_crop(std::int64_t index, std::uint32_t row, std::int16_t* out) {
  thread_local store::ShardReader::Scratch scratch;
  for (int attempt = 0;; ++attempt) {
    try {
      waits_ = store_.read_window(index, row, window(out), scratch);
      break;
    } catch (const Error& e) {
      if (e.fault() != Fault::Environment || attempt == kRetries) throw;
      ++retries_;
      std::this_thread::sleep_for(std::chrono::milliseconds(50 << (2 * attempt)));
    }
  }
  count(index, row);
}

bool PairFetcher::unpack(const PackedPair& ahead, std::int16_t* query, std::int16_t* key) try {
  thread_local std::vector<std::byte> stored;
  const auto place = store_.at(ahead.index);
  place.shard->unpack_window(place.pair.query, ahead.query, window(query), stored);
  place.shard->unpack_window(place.pair.key, ahead.key, window(key), stored);
  count(ahead.index, place.pair.query);
  count(ahead.index, place.pair.key);
  return true;
} catch (const Error&) {
  return false;
}

std::span<std::uint16_t> PairFetcher::window(std::int16_t* out) const {
  return {reinterpret_cast<std::uint16_t*>(out),
          static_cast<std::size_t>(store_.header().voxels())};
}

void PairFetcher::count(std::int64_t index, std::uint32_t row) {
  bytes_read_ += store_.at(index).shard->chunk(row).size;
  bytes_decoded_ += static_cast<std::uint64_t>(store_.header().voxels()) * sizeof(std::uint16_t);
}

void PairFetcher::quarantine(std::int64_t index, const std::string& reason) {
  const auto place = store_.at(index);
  std::int64_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!bad_.insert(index).second) return;
    count = static_cast<std::int64_t>(bad_.size());
  }
  ++quarantined_;
  log::warn(
      "record quarantined",
      {{"reason", reason}, {"pair_row", place.row}, {"quarantined", count}, {"budget", budget_}});
  if (count > budget_) {
    throw Error(Fault::Data,
                std::to_string(count) + " bad records, the budget is " + std::to_string(budget_) +
                    "; the last: " + reason,
                "run homolog store verify and copy the broken shards again, or raise "
                "data.bad_record_budget");
  }
}

std::string PairFetcher::describe(std::int64_t watched) const {
  if (watched < 0) return "nothing";
  const auto place = store_.at(watched / 2);
  return place.shard->where(watched % 2 == 0 ? place.pair.query : place.pair.key);
}

StreamCounters PairFetcher::counters() const {
  StreamCounters c;
  c.bytes_read = bytes_read_;
  c.bytes_decoded = bytes_decoded_;
  c.quarantined = quarantined_;
  c.retries = retries_;
  c.copies_left = static_cast<std::uint64_t>(store_.bad_copies());
  return c;
}

}  // namespace homolog::data

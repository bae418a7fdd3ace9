// One pair of a split into the caller's memory: retried when the disk fails, quarantined when what
// it gave is wrong, until a budget of bad records is spent (P5).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "data/pair_order.h"
#include "data/pair_stream.h"
#include "data/read_ahead.h"
#include "sharding/store/pair_store.h"

namespace homolog::data {

// What a thread is reading, for the message of a read that never ends: pair * 2 + side, or -1.
using Watch = std::atomic<std::int64_t>;

class PairFetcher {
 public:
  PairFetcher(const store::StorePlace& place, std::int64_t budget);

  const store::PairStore& store() const noexcept { return store_; }
  // The pair at `position` of `order`, or the one that replaces it (Partition::reserve). Returns
  // the index of the pair delivered. Throws Fault::Data when the budget is spent. Thread-safe.
  // `query`, `key`: header().voxels() integers each, HU - window_low clipped to the window.
  // `ahead`: that pair as it was read ahead, or nullptr; what is wrong with it is read again.
  std::int64_t fetch(const PairOrder& order, const Partition& partition, std::int64_t position,
                     std::int16_t* query, std::int16_t* key, Watch& watch,
                     const PackedPair* ahead = nullptr);
  // The disk is asked to bring that pair meanwhile, where pairs do come from a disk.
  void expect(const PairOrder& order, std::int64_t position) const;
  std::string describe(std::int64_t watched) const;  // "shard-00000.h5, crop 12 at byte 4711"
  StreamCounters counters() const;                   // without the queue's

 private:
  bool read(std::int64_t index, std::int16_t* query, std::int16_t* key, Watch& watch,
            const PackedPair* ahead);
  void read_crop(std::int64_t index, std::uint32_t row, std::int16_t* out);
  bool unpack(const PackedPair& ahead, std::int16_t* query, std::int16_t* key);
  std::span<std::uint16_t> window(std::int16_t* out) const;
  void count(std::int64_t index, std::uint32_t row);
  void quarantine(std::int64_t index, const std::string& reason);

  store::PairStore store_;
  std::int64_t budget_;
  std::mutex mutex_;
  std::set<std::int64_t> bad_;
  std::atomic<bool> waits_{false};  // the last crop was not in the page cache
  std::atomic<std::uint64_t> bytes_read_{0}, bytes_decoded_{0}, quarantined_{0}, retries_{0};
};

}  // namespace homolog::data

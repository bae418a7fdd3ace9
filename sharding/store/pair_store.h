// The pairs of one split of a store, numbered over its shards.
// Every shard is opened at the start, so that a broken one is known before the first step.
#pragma once

#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "sharding/store/nearest_shard.h"
#include "sharding/store/store_manifest.h"

namespace homolog::store {

// Which pairs, and where shards may lie nearer.
struct StorePlace {
  std::filesystem::path folder;
  std::string split;               // "train" or "validation"
  std::filesystem::path staged{};  // of homolog store stage; a shard found there is read there
  // Larger splits than this are read past the page cache: it would forget each crop before its next
  // turn, and filling it costs more than decoding. 0: all are.
  std::uint64_t cached_bytes = std::numeric_limits<std::uint64_t>::max();
};

// "STAGED/<hash of the store>/shard-00000.h5": stores and their versions do not meet.
std::filesystem::path staged_file(const std::filesystem::path& staged,
                                  const StoreManifest& manifest, const ShardSummary& shard);

class PairStore {
 public:
  // Throws Fault::Data: no store, a shard that is missing, of another size or of other settings.
  explicit PairStore(const StorePlace& place);

  const StoreManifest& manifest() const noexcept { return manifest_; }
  const ShardHeader& header() const noexcept { return manifest_.header; }
  std::int64_t pairs() const noexcept { return pairs_; }
  PageCache page_cache() const noexcept { return cache_; }

  struct Place {
    const ShardReader* shard;  // the staged copy or the store's own
    PairRecord pair;
    std::int64_t row;  // in the shard's pair_table
  };
  Place at(std::int64_t index) const;  // 0 <= index < pairs()
  // A crop of the shard of pair `index`, from the store itself where the staged copy has it bad
  // (NearestShard). Thread-safe.
  bool read_window(std::int64_t index, std::int64_t crop, std::span<std::uint16_t> out,
                   ShardReader::Scratch& scratch) const;
  std::int64_t bad_copies() const;  // staged ones that were left since the opening
  // The pair's index over all splits: unique in the store.
  std::uint64_t global_index(std::int64_t index) const;

 private:
  StoreManifest manifest_;
  std::vector<std::unique_ptr<NearestShard>> shards_;
  std::vector<std::int64_t> first_;  // first index of each shard within the split
  std::vector<std::int64_t> global_first_;
  std::int64_t pairs_ = 0;
  PageCache cache_;
};

}  // namespace homolog::store

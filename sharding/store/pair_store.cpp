// Shards of a split behind one index.
// Shards are found by binary search over first indices, so a lookup costs no memory per pair.
#include "sharding/store/pair_store.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"

namespace homolog::store {
namespace {

std::size_t shard_of(const std::vector<std::int64_t>& first, std::int64_t index) {
  return static_cast<std::size_t>(std::upper_bound(first.begin(), first.end(), index) -
                                  first.begin()) -
         1;
}

void check(const std::filesystem::path& file, const ShardSummary& said, const ShardReader& shard,
           const StoreManifest& manifest) {
  std::error_code ignored;
  ShardHeader expected = manifest.header;
  expected.split = said.split;
  const char* what = nullptr;
  if (std::filesystem::file_size(file, ignored) != said.bytes)
    what = "its size is not the one in store.json";
  if (!(shard.header() == expected)) what = "its settings are not those of store.json";
  if (static_cast<std::int64_t>(shard.pairs().size()) != said.pairs ||
      shard.crops() != said.crops) {
    what = "it holds another number of pairs or crops than store.json says";
  }
  if (what) {
    throw Error(Fault::Data, file.string() + ": " + what,
                "shards of two stores were mixed: copy the store again, or write it again with "
                "homolog shard");
  }
}

// The staged copy where it is whole in size, else the store's own.
std::filesystem::path nearest(const StorePlace& place, const StoreManifest& manifest,
                              const ShardSummary& shard) {
  if (place.staged.empty()) return place.folder / shard.file;
  const auto copy = staged_file(place.staged, manifest, shard);
  std::error_code absent;
  return std::filesystem::file_size(copy, absent) == shard.bytes ? copy : place.folder / shard.file;
}

}  // namespace

std::filesystem::path staged_file(const std::filesystem::path& staged,
                                  const StoreManifest& manifest, const ShardSummary& shard) {
  return staged / hex64(manifest.hash) / shard.file;
}

PairStore::PairStore(const StorePlace& place) : manifest_(load_manifest(place.folder)) {
  std::int64_t global = 0;
  for (const ShardSummary& said : manifest_.shards) {
    const std::int64_t first = global;
    global += said.pairs;
    if (said.split != place.split || said.pairs == 0) continue;
    const std::filesystem::path file = nearest(place, manifest_, said);
    shards_.emplace_back(file);
    check(file, said, shards_.back(), manifest_);
    first_.push_back(pairs_);
    global_first_.push_back(first);
    pairs_ += said.pairs;
  }
}

PairStore::Place PairStore::at(std::int64_t index) const {
  const std::size_t s = shard_of(first_, index);
  const std::int64_t row = index - first_[s];
  return {&shards_[s], shards_[s].pairs()[static_cast<std::size_t>(row)], row};
}

std::uint64_t PairStore::global_index(std::int64_t index) const {
  const std::size_t s = shard_of(first_, index);
  return static_cast<std::uint64_t>(global_first_[s] + index - first_[s]);
}

}  // namespace homolog::store

// Shards of a split behind one index.
// Shards are found by binary search over first indices, so a lookup costs no memory per pair.
#include "sharding/store/pair_store.h"

#include <algorithm>

#include "base/hash.h"
#include "base/log.h"

namespace homolog::store {
namespace {

std::size_t shard_of(const std::vector<std::int64_t>& first, std::int64_t index) {
  return static_cast<std::size_t>(std::upper_bound(first.begin(), first.end(), index) -
                                  first.begin()) -
         1;
}

std::uint64_t bytes_of(const StoreManifest& manifest, const std::string& split) {
  std::uint64_t bytes = 0;
  for (const ShardSummary& shard : manifest.shards)
    if (shard.split == split) bytes += shard.bytes;
  return bytes;
}

}  // namespace

std::filesystem::path staged_file(const std::filesystem::path& staged,
                                  const StoreManifest& manifest, const ShardSummary& shard) {
  return staged / hex64(manifest.hash) / shard.file;
}

PairStore::PairStore(const StorePlace& place)
    : manifest_(load_manifest(place.folder)),
      cache_(bytes_of(manifest_, place.split) > place.cached_bytes ? PageCache::Passed
                                                                   : PageCache::Used) {
  std::int64_t global = 0, staged = 0, passing = 0;
  for (const ShardSummary& said : manifest_.shards) {
    const std::int64_t first = global;
    global += said.pairs;
    if (said.split != place.split || said.pairs == 0) continue;
    const auto copy = place.staged.empty() ? "" : staged_file(place.staged, manifest_, said);
    shards_.push_back(std::make_unique<NearestShard>(place.folder / said.file, copy,
                                                     said_of(manifest_, said), cache_));
    staged += shards_.back()->is_staged();
    passing += shards_.back()->reader().passes_page_cache();
    first_.push_back(pairs_);
    global_first_.push_back(first);
    pairs_ += said.pairs;
  }
  if (!place.staged.empty() && !shards_.empty())
    (staged > 0 ? log::info : log::warn)(
        "shards read from their staged copies",
        {{"staged", staged}, {"of", shards_.size()}, {"split", place.split}});
  if (cache_ == PageCache::Passed)
    log::info("shards read past the page cache",
              {{"shards", passing}, {"of", shards_.size()}, {"split", place.split}});
}

PairStore::Place PairStore::at(std::int64_t index) const {
  const std::size_t s = shard_of(first_, index);
  const std::int64_t row = index - first_[s];
  const ShardReader& shard = shards_[s]->reader();
  return {&shard, shard.pairs()[static_cast<std::size_t>(row)], row};
}

bool PairStore::read_window(std::int64_t index, std::int64_t crop, std::span<std::uint16_t> out,
                            ShardReader::Scratch& scratch) const {
  return shards_[shard_of(first_, index)]->read_window(crop, out, scratch);
}

std::int64_t PairStore::bad_copies() const {
  return std::count_if(shards_.begin(), shards_.end(),
                       [](const auto& shard) { return shard->left_its_copy(); });
}

std::uint64_t PairStore::global_index(std::int64_t index) const {
  const std::size_t s = shard_of(first_, index);
  return static_cast<std::uint64_t>(global_first_[s] + index - first_[s]);
}

}  // namespace homolog::store

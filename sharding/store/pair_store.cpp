// Shards of a split behind one index.
// Shards are found by binary search over first indices, so a lookup costs no memory per pair.
#include "sharding/store/pair_store.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"

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

// The staged copy of a shard where there is a good one. A bad one does not stop a run.
std::optional<ShardReader> open_staged(const StorePlace& place, const StoreManifest& manifest,
                                       const ShardSummary& said) {
  if (place.staged.empty()) return std::nullopt;
  const auto copy = staged_file(place.staged, manifest, said);
  std::error_code absent;
  if (std::filesystem::file_size(copy, absent) != said.bytes) return std::nullopt;
  try {
    ShardReader shard(copy);
    check(copy, said, shard, manifest);
    return shard;
  } catch (const Error& e) {
    if (e.fault() != Fault::Data) throw;
    log::warn("staged copy left out, the store's own shard is read",
              {{"reason", e.summary()}, {"fix", "run homolog store stage again"}});
    return std::nullopt;
  }
}

}  // namespace

std::filesystem::path staged_file(const std::filesystem::path& staged,
                                  const StoreManifest& manifest, const ShardSummary& shard) {
  return staged / hex64(manifest.hash) / shard.file;
}

PairStore::PairStore(const StorePlace& place) : manifest_(load_manifest(place.folder)) {
  std::int64_t global = 0, staged = 0;
  for (const ShardSummary& said : manifest_.shards) {
    const std::int64_t first = global;
    global += said.pairs;
    if (said.split != place.split || said.pairs == 0) continue;
    if (auto copy = open_staged(place, manifest_, said)) {
      shards_.push_back(std::move(*copy));
      ++staged;
    } else {
      shards_.emplace_back(place.folder / said.file);
      check(place.folder / said.file, said, shards_.back(), manifest_);
    }
    first_.push_back(pairs_);
    global_first_.push_back(first);
    pairs_ += said.pairs;
  }
  if (!place.staged.empty() && !shards_.empty())
    log::info("shards read from their staged copies",
              {{"staged", staged}, {"of", shards_.size()}, {"split", place.split}});
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

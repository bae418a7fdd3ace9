#include "sharding/store/landmark_groups.h"

#include <numeric>

#include "sharding/store/shard_reader.h"

namespace homolog::store {
namespace {

// Union-find with path halving.
std::size_t root_of(std::vector<std::size_t>& parent, std::size_t row) {
  while (parent[row] != row) row = parent[row] = parent[parent[row]];
  return row;
}

}  // namespace

std::vector<std::int64_t> crops_per_landmark(std::int64_t crops,
                                             std::span<const PairRecord> pairs) {
  std::vector<std::size_t> parent(static_cast<std::size_t>(crops));
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  for (const PairRecord& pair : pairs) {
    const std::size_t query = root_of(parent, pair.query), key = root_of(parent, pair.key);
    parent[std::max(query, key)] = std::min(query, key);  // the first crop is the root
  }
  std::vector<std::int64_t> size(parent.size()), found;
  for (std::size_t row = 0; row < parent.size(); ++row) ++size[root_of(parent, row)];
  for (const std::int64_t n : size) {
    if (n > 0) found.push_back(n);
  }
  return found;
}

std::int64_t landmarks_of(const std::filesystem::path& store, const StoreManifest& manifest) {
  std::int64_t sum = 0;
  for (const ShardSummary& said : manifest.shards) {
    const ShardReader shard(store / said.file);
    sum += std::ssize(crops_per_landmark(shard.crops(), shard.pairs()));
  }
  return sum;
}

}  // namespace homolog::store

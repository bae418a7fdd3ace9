// Which crops show one landmark: those that pairs join, directly or over others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "sharding/store/shard_format.h"
#include "sharding/store/store_manifest.h"

namespace homolog::store {

// Crops of each landmark of a shard, in the order of its first crop. REQUIRES: rows of `pairs` are
// below `crops`. A crop of no pair is a landmark of one.
std::vector<std::int64_t> crops_per_landmark(std::int64_t crops, std::span<const PairRecord> pairs);
// Of all shards of `store`. Throws Fault::Data where one cannot be opened.
std::int64_t landmarks_of(const std::filesystem::path& store, const StoreManifest& manifest);

}  // namespace homolog::store

// What store.json says of a shard, and in what a shard differs from that.
#pragma once

#include <string>
#include <vector>

#include "sharding/store/shard_reader.h"
#include "sharding/store/store_manifest.h"

namespace homolog::store {

struct ShardSaid {
  ShardHeader header;  // its split is the shard's
  ShardSummary summary;
};
ShardSaid said_of(const StoreManifest& manifest, const ShardSummary& summary);

// Settings and counts that differ: "margin differs from store.json: 2, there 3". The file's size
// and hash are not looked at.
std::vector<std::string> differences(const ShardReader& shard, const ShardSaid& said);

}  // namespace homolog::store

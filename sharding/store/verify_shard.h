// One shard of a store, read and compared. For verify.cpp alone.
#pragma once

#include <functional>
#include <string>

#include "sharding/store/shard_reader.h"
#include "sharding/store/store_manifest.h"

namespace homolog::store {

struct ShardToVerify {
  const ShardReader& shard;
  const ShardSummary& said;  // by store.json
  const StoreManifest& manifest;
  std::function<void(std::int64_t crop, const std::string& what)> add;  // a finding; -1: no crop
  std::function<void()> advanced;                                       // one more crop is read
};

// Header and counts against store.json; the file's structures, byte by byte; studies, landmarks and
// pairs; every crop decoded. Throws Fault::Data where a table or HDF5's index cannot be read.
void verify_shard(const ShardToVerify& job);

}  // namespace homolog::store

// The file of a shard, byte by byte. For verify_shard.cpp alone.
#pragma once

#include "sharding/store/verify_shard.h"

namespace homolog::store {

// HDF5's own index against chunk_table; no byte has two meanings, and what has none is 0, so that
// nothing hides in the file. A broken structure is a finding.
void verify_file(const ShardToVerify& job);

}  // namespace homolog::store

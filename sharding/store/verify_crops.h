// The crops of a shard and their geometry. For verify_shard.cpp alone.
#pragma once

#include "sharding/store/verify_shard.h"

namespace homolog::store {

// `crops`: the shard's crop_table.
void verify_crops(const ShardToVerify& job, const std::vector<CropRecord>& crops);

}  // namespace homolog::store

// How much a store will hold, told before it is made.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "sharding/shard_plan.h"
#include "sharding/study_groups.h"

namespace homolog::shard {

struct DiskForecast {
  std::int64_t studies = 0, shards = 0, landmarks = 0;
  std::int64_t least_crops = 0,
               most_crops = 0;  // two a landmark, or one in each study of the group
  std::uint64_t least_bytes = 0, most_bytes = 0;  // compressed; measured shares of plain integers
};
DiskForecast& operator+=(DiskForecast& sum, const DiskForecast& more);

DiskForecast forecast_of(const Group& group, const ShardPlan& plan);

// Free bytes for an ordinary user where `folder` is or will be; quotas are not seen.
std::uint64_t free_bytes(const std::filesystem::path& folder);
// Throws Fault::Environment when not even the least fits.
void require_space(const DiskForecast& forecast, const std::filesystem::path& folder);

}  // namespace homolog::shard

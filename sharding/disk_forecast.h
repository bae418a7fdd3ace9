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
  // As a rule: measured shares of plain integers, and the tables.
  std::uint64_t least_bytes = 0, most_bytes = 0;
  // Less than any store: crops compressed 64 times (25 was seen), without and with the tables.
  std::uint64_t floor_voxel_bytes = 0, floor_bytes = 0;
  std::uint64_t bound_bytes = 0;  // more than any store: crops that do not compress, full tables
};
DiskForecast& operator+=(DiskForecast& sum, const DiskForecast& more);

DiskForecast forecast_of(const Group& group, const ShardPlan& plan);

// What cannot be done without: the floor, and what ShardWriter keeps free behind the crops of the
// shard that it writes.
std::uint64_t needed_bytes(const DiskForecast& forecast);
// Free bytes for an ordinary user where `folder` is or will be; quotas are not seen.
std::uint64_t free_bytes(const std::filesystem::path& folder);
// Throws Fault::Environment when not even needed_bytes() fit.
void require_space(const DiskForecast& forecast, const std::filesystem::path& folder);

}  // namespace homolog::shard

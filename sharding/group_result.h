// What became of a group, as processes that share a build tell each other.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sharding/group_shard.h"
#include "sharding/import/usable.h"

namespace homolog::shard {

struct GroupResult {
  store::ShardSummary shard;              // no file: no pair came of the group
  std::vector<std::string> studies;       // that took part
  std::vector<import::LeftOut> left_out;  // that could not be used, and why
  PlanCounts plan;                        // 0s where the shard was found, not made
  CropCounts crops;
  bool found = false;     // was there before this build
  bool repaired = false;  // made in the place of a shard that was damaged or got lost
};

nlohmann::json to_json(const GroupResult& result);
GroupResult group_result_of(const nlohmann::json& json);  // throws nlohmann's exceptions

}  // namespace homolog::shard

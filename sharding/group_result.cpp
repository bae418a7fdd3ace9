#include "sharding/group_result.h"

#include <nlohmann/json.hpp>

namespace homolog::shard {
namespace {

using nlohmann::json;

constexpr std::pair<const char*, std::int64_t PlanCounts::*> kPlan[] = {
    {"landmarks", &PlanCounts::landmarks},
    {"draws", &PlanCounts::draws},
    {"fallbacks", &PlanCounts::fallbacks},
    {"small_studies", &PlanCounts::small_studies}};
constexpr std::pair<const char*, std::int64_t CropCounts::*> kCrops[] = {
    {"warned", &CropCounts::warned},
    {"outside", &CropCounts::outside},
    {"air", &CropCounts::air},
    {"constant", &CropCounts::constant},
    {"repeated", &CropCounts::repeated}};

}  // namespace

json to_json(const GroupResult& r) {
  json plan, crops, left_out = json::array();
  for (const auto& [name, count] : kPlan) plan[name] = r.plan.*count;
  for (const auto& [name, count] : kCrops) crops[name] = r.crops.*count;
  for (const auto& [id, reason] : r.left_out) left_out.push_back({id, reason});
  return {{"file", r.shard.file},   {"split", r.shard.split}, {"pairs", r.shard.pairs},
          {"crops", r.shard.crops}, {"bytes", r.shard.bytes}, {"xxh3", r.shard.xxh3},
          {"studies", r.studies},   {"left_out", left_out},   {"plan_counts", plan},
          {"crop_counts", crops},   {"found", r.found},       {"repaired", r.repaired}};
}

GroupResult group_result_of(const json& j) {
  GroupResult r;
  r.shard = {j.at("file"),  j.at("split"), j.at("pairs"),
             j.at("crops"), j.at("bytes"), j.at("xxh3")};
  r.studies = j.at("studies").get<std::vector<std::string>>();
  for (const json& one : j.at("left_out")) r.left_out.push_back({one.at(0), one.at(1)});
  for (const auto& [name, count] : kPlan) r.plan.*count = j.at("plan_counts").at(name);
  for (const auto& [name, count] : kCrops) r.crops.*count = j.at("crop_counts").at(name);
  r.found = j.at("found");
  r.repaired = j.at("repaired");
  return r;
}

}  // namespace homolog::shard

#include "sharding/store/shard_said.h"

#include <nlohmann/json.hpp>

namespace homolog::store {
namespace {

using Json = nlohmann::ordered_json;

// Checked values alone, of which none is free text.
Json facts(const ShardHeader& header, std::int64_t pairs, std::int64_t crops) {
  Json json = header_json(header);
  json["split"] = header.split;
  json["number of pairs"] = pairs;
  json["number of crops"] = crops;
  return json;
}

std::string shown(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

ShardSaid said_of(const StoreManifest& manifest, const ShardSummary& summary) {
  ShardSaid said{manifest.header, summary};
  said.header.split = summary.split;
  return said;
}

std::vector<std::string> differences(const ShardReader& shard, const ShardSaid& said) {
  const Json is = facts(shard.header(), std::ssize(shard.pairs()), shard.crops()),
             there = facts(said.header, said.summary.pairs, said.summary.crops);
  std::vector<std::string> found;
  for (const auto& [key, value] : is.items()) {
    if (value != there.at(key))
      found.push_back(key + " differs from store.json: " + shown(value) + ", there " +
                      shown(there.at(key)));
  }
  return found;
}

}  // namespace homolog::store

// store.json: what a store holds, which shard belongs to which split, and their hashes.
// Written last, so a folder with a store.json is a whole store.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sharding/store/shard_writer.h"

namespace homolog::store {

struct StoreManifest {
  ShardHeader header;  // `split` unused
  std::map<std::string, std::string>
      config;  // settings of the planner: numbers and words, no paths
  std::map<std::string, std::vector<std::string>> studies;  // split -> pseudonyms
  std::map<std::string, std::string> subjects;              // study -> pseudonym of its patient
  std::vector<ShardSummary> shards;  // train first; the order defines global pair indices
  std::uint64_t hash = 0;            // of all the above

  const std::string& subject_of(const std::string& study) const;  // itself where none is told
  std::int64_t pairs(const std::string& split) const;             // "" for all
  std::int64_t crops() const;
  std::uint64_t bytes() const;
};

// The settings that every shard of a store shares, under the names of store.json.
nlohmann::ordered_json header_json(const ShardHeader& header);

// Atomic. Fills `hash`. Throws Fault::Environment; Fault::Usage for ids that are no pseudonyms.
void save_manifest(const std::filesystem::path& store, StoreManifest& manifest);
// Throws Fault::Data: no store.json, other version, damaged (hash differs).
StoreManifest load_manifest(const std::filesystem::path& store);

}  // namespace homolog::store

// What homolog shard may be told, and the hash that tells two stores' settings apart.
// Everything that changes a stored byte is in the hash; what does not (memory, paths) is not.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "sharding/import/catalog.h"
#include "sharding/match/matcher.h"
#include "sharding/store/shard_format.h"

namespace homolog::shard {

struct ShardPlan {
  std::vector<std::int64_t> crop{192, 192, 64};  // x, y, z, voxels (method.md D1)
  std::int64_t landmarks_per_study = 16;
  std::int64_t studies_per_landmark = 4;  // its own included
  double threshold = 0.7;                 // similarity a pair is admitted above (method.md 2.4)
  std::int64_t attempts = 101;            // draws before the best one is taken
  double validation = 0.1;                // share of the patients
  std::int64_t margin = 0;                // voxels kept around a crop for random shifts
  std::string spacing = "native";         // or "x,y,z" in mm
  std::int64_t window_low = -125, window_high = 255;
  std::string voxel = "u16";  // of the stored crops: u16, u8, i16
  std::string codec = "lz4";  // or zstd
  std::string match = "refined";
  std::int64_t match_neighbours = 0;                // cells to each side whose matches are averaged
  double warn_outside = 0.5, refuse_outside = 0.9;  // share of a crop beyond its volume
  std::uint64_t seed = 123;
  std::int64_t studies_in_memory = 8;

  match::Mode mode() const { return match::mode_named(match); }
  // Of the crops; nothing: each volume's own. Throws Fault::Usage when it cannot be read.
  std::optional<Point3> spacing_mm() const;
};

// Section [shard]; its keys go as flags without it, too.
void declare(Options& options, ShardPlan& plan);
// Throws Fault::Usage: sides odd or missing, window, group too large for one shard.
void validate(const ShardPlan& plan);

// For store.json: numbers and words alone.
std::map<std::string, std::string> settings(const ShardPlan& plan);
// 16 hex digits over settings, SAM weights, studies and their content.
std::string plan_hash(const ShardPlan& plan, const std::string& sam_hash,
                      const std::vector<import::CatalogEntry>& studies);
store::ShardHeader header_of(const ShardPlan& plan, const std::string& sam_hash,
                             const std::string& hash);

}  // namespace homolog::shard

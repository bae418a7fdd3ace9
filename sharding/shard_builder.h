// Plans, cuts and writes a store, one shard per group of studies.
// Finished shards of the same plan are kept, so a run that was killed goes on where it stood.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sharding/import/usable.h"
#include "sharding/pair_planner.h"
#include "sharding/store/store_manifest.h"

namespace homolog::shard {

struct BuildCounts {
  PlanCounts plan;
  std::int64_t kept_shards = 0, written_shards = 0;
  std::int64_t warned_crops = 0;          // more of them outside the volume than shard.warn_outside
  std::int64_t refused_crops = 0;         // than shard.refuse_outside, or without any body
  std::int64_t duplicates = 0;            // studies with the content of another
  std::vector<import::LeftOut> left_out;  // studies that could not be used, and why
};

// Studies of the catalogue without those that repeat another's content (the first id stays).
std::vector<import::CatalogEntry> distinct(const std::vector<import::CatalogEntry>& entries,
                                           std::int64_t& duplicates);

class ShardBuilder {
 public:
  // `studies` and `entries` share indices. `sam_hash`: 16 hex digits.
  ShardBuilder(ShardPlan plan, std::vector<import::CatalogEntry> entries, Studies& studies,
               std::string sam_hash, std::filesystem::path out);
  // Landmarks that all groups draw, for a progress display.
  std::int64_t total_landmarks() const;
  // `advanced(n)`: n landmarks more are done. Throws Fault::Usage: `out` holds a store of other
  // settings; Fault::Data: no pair possible; Fault::Environment: disk full; Fault::Stopped: a
  // signal. A study that cannot be read is left out of its group; the rest goes on.
  store::StoreManifest build(BuildCounts& counts,
                             const std::function<void(std::int64_t)>& advanced);

 private:
  bool already_there(store::StoreManifest& manifest, BuildCounts& counts) const;
  void name_ungrouped(BuildCounts& counts) const;
  bool can_be_read(std::size_t study, BuildCounts& counts);
  Group readable(const Group& group, BuildCounts& counts);
  std::optional<Group> finished(const std::filesystem::path& file, const Group& group,
                                BuildCounts& counts);
  store::ShardSummary summary_of(const std::filesystem::path& file, const Group& group) const;
  store::ShardSummary write(const std::filesystem::path& file, const Group& group,
                            BuildCounts& counts, const std::function<void(std::int64_t)>& advanced);
  void stop_if_asked() const;
  [[noreturn]] void refuse_empty(const BuildCounts& counts) const;
  void add(const Landmark& landmark, const Group& group, store::ShardWriter& writer,
           BuildCounts& counts);
  store::ShardHeader header(const std::string& split) const;

  ShardPlan plan_;
  std::vector<import::CatalogEntry> entries_;
  std::vector<std::string> ids_;
  Studies& studies_;
  std::string sam_hash_, plan_hash_;
  std::filesystem::path out_;
  std::vector<Group> groups_;
};

}  // namespace homolog::shard

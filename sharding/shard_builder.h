// Plans, cuts and writes a store, one shard per group of studies; any number of processes, on any
// number of nodes, may build one store together. What is finished is kept, so processes that were
// killed are replaced by running again, and the store is the same whoever wrote it, and when.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "sharding/build_part.h"
#include "sharding/disk_forecast.h"
#include "sharding/group_builder.h"
#include "sharding/group_ledger.h"
#include "sharding/store/store_manifest.h"

namespace homolog::shard {

struct BuildCounts {  // of all processes, as far as they were seen
  PlanCounts plan;
  CropCounts crops;
  std::int64_t kept_shards = 0, written_shards = 0;
  std::vector<std::string> repaired;      // of the written: shards that were damaged or got lost
  std::int64_t duplicates = 0;            // studies with the content of another
  std::vector<import::LeftOut> left_out;  // studies that could not be used, and why
};

// What a progress display shows, of all processes together.
struct Standing {
  std::int64_t landmarks = 0;  // done
  std::uint64_t bytes = 0;     // of finished shards
  double whole_bytes = 0;      // of the store, as the finished shards suggest; 0: none is
};

// Studies of the catalogue without those that repeat another's content (the first id stays).
std::vector<import::CatalogEntry> distinct(std::vector<import::CatalogEntry> entries,
                                           std::int64_t& duplicates);

class ShardBuilder {
 public:
  // `studies` and `entries` share indices. `sam_hash`: 16 hex digits.
  ShardBuilder(ShardPlan plan, const std::vector<import::CatalogEntry>& entries, Studies& studies,
               const std::string& sam_hash, std::filesystem::path out, Part part = {});
  ShardBuilder(const ShardBuilder&) = delete;
  std::size_t groups() const { return groups_.size(); }
  // Landmarks that all groups draw, for a progress display.
  std::int64_t total_landmarks() const;
  // What is still to be written.
  DiskForecast forecast() const;
  // `shown` is called at the start, now and then, and at the end. Throws Fault::Usage: `out` holds
  // a store of other settings, or one is being built there; Fault::Data: no pair possible;
  // Fault::Environment: disk full; Fault::Stopped: a signal. A study that cannot be read is left
  // out of its group; the rest goes on.
  store::StoreManifest build(BuildCounts& counts,
                             const std::function<void(const Standing&)>& shown);

 private:
  std::optional<store::StoreManifest> finished(BuildCounts& counts, bool verify);
  std::set<std::string> damaged(const store::StoreManifest& manifest) const;
  void reopen(const store::StoreManifest& manifest, const std::set<std::string>& broken) const;
  void name_ungrouped(BuildCounts& counts) const;
  void take_stock(GroupLedger& ledger);
  void absorb(const GroupLedger::Sight& sight, GroupLedger& ledger);
  bool finish_one(GroupLedger& ledger);
  bool finish(std::size_t group, GroupLedger& ledger);
  store::StoreManifest work(BuildCounts& counts);
  store::StoreManifest manifest_of(BuildCounts& counts) const;
  void count(BuildCounts& counts) const;
  void show(GroupLedger& ledger, bool at_once);
  std::int64_t landmarks_of(std::size_t group) const;
  std::filesystem::path file_of(std::size_t group) const;
  [[noreturn]] void refuse_empty(const BuildCounts& counts) const;

  ShardPlan plan_;
  std::vector<std::string> ids_, subjects_;  // by study
  std::string plan_hash_;
  std::filesystem::path out_;
  Part part_;
  std::vector<Group> groups_;
  store::ShardHeader header_;
  GroupBuilder builder_;
  std::vector<std::optional<GroupResult>> results_;  // by group
  std::set<std::size_t> pending_, look_again_;       // groups
  std::function<void(const Standing&)> shown_;
  Stopwatch since_shown_;
  double next_show_ = 0;
};

}  // namespace homolog::shard

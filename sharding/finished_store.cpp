// What a build finds or leaves as a whole: store.json, and what it tells.
#include <ATen/Parallel.h>

#include <map>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "sharding/shard_builder.h"

namespace homolog::shard {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLeftOutBefore =
    "left out when the store was made; to take it in by now, remove store.json or choose another "
    "--out";

void remove_for_repair(const fs::path& file) {
  std::error_code code;
  fs::remove(file, code);
  if (code)
    throw Error(Fault::Environment,
                "cannot repair the store: " + file.string() + ": " + code.message(),
                "make the folder writable, or build the store elsewhere with another --out");
}

bool is_whole(const fs::path& file, const store::ShardSummary& shard) {
  std::error_code absent;
  return fs::file_size(file, absent) == shard.bytes && xxh3_64_file(file) == shard.xxh3;
}

}  // namespace

std::vector<import::CatalogEntry> distinct(std::vector<import::CatalogEntry> entries,
                                           std::int64_t& duplicates) {
  std::set<std::string> seen;
  const auto repeats = [&](const import::CatalogEntry& entry) {
    if (seen.insert(entry.content_hash).second) return false;
    ++duplicates;
    log::warn("study left out, its voxels are another's", {{"study", entry.id}});
    return true;
  };
  std::vector<import::CatalogEntry> out;
  for (auto& entry : entries)
    if (!repeats(entry)) out.push_back(std::move(entry));
  return out;
}

// Reads all shards, in threads.
std::set<std::string> ShardBuilder::damaged(const store::StoreManifest& manifest) const {
  std::set<std::string> files;
  std::mutex mutex;
  at::parallel_for(0, std::ssize(manifest.shards), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      stop_if_asked("the shards of " + out_.string() + " were being read",
                    "run the same command again");
      const store::ShardSummary& shard = manifest.shards[static_cast<std::size_t>(i)];
      if (is_whole(out_ / shard.file, shard)) continue;
      const std::lock_guard lock(mutex);
      files.insert(shard.file);
    }
  });
  return files;
}

// Makes the store an unfinished one without its broken shards. All are recorded: the whole ones, so
// that nobody reads them again; the broken ones, so that it is known that they were there.
void ShardBuilder::reopen(const store::StoreManifest& manifest,
                          const std::set<std::string>& broken) const {
  std::set<std::string> held;
  for (const auto& [split, ids] : manifest.studies) held.insert(ids.begin(), ids.end());
  std::map<std::string, const store::ShardSummary*> shards;
  for (const store::ShardSummary& shard : manifest.shards) shards[shard.file] = &shard;
  for (const std::string& file : broken) {  // first: a record beside them would make them whole
    remove_for_repair(out_ / file);
    log::warn("shard missing or damaged, written again", {{"shard", file}});
  }
  const GroupLedger ledger(out_, plan_hash_);
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const auto shard = shards.find(file_of(g).filename().string());
    if (shard == shards.end() || ledger.result(g)) continue;
    GroupResult result;
    result.shard = *shard->second;
    result.repaired = broken.contains(result.shard.file);  // by the time that it is there again
    for (const std::size_t study : groups_[g].studies) {
      if (held.contains(ids_[study])) {
        result.studies.push_back(ids_[study]);
      } else {
        result.left_out.push_back({ids_[study], kLeftOutBefore});
      }
    }
    ledger.record(g, result);
  }
  remove_for_repair(out_ / "store.json");
}

// The store that is there already. `verify`: its shards are read by the first process, which knows
// then of all that is damaged; damaged ones are removed, and the store is unfinished again.
std::optional<store::StoreManifest> ShardBuilder::finished(BuildCounts& counts, bool verify) {
  if (!fs::exists(out_ / "store.json")) return std::nullopt;
  auto manifest = store::load_manifest(out_);
  if (manifest.header.plan_hash != plan_hash_) {
    throw Error(Fault::Usage,
                out_.string() + " holds a finished store of other settings, studies or SAM weights",
                "choose another --out, or remove that folder");
  }
  const bool reads = verify && part_.index == 0;
  const auto broken = reads ? damaged(manifest) : std::set<std::string>{};
  if (!broken.empty()) {
    reopen(manifest, broken);
    return std::nullopt;
  }
  count(counts);
  if (verify) counts.kept_shards = std::ssize(manifest.shards);
  std::set<std::string> held;
  for (const auto& [split, ids] : manifest.studies) held.insert(ids.begin(), ids.end());
  for (const auto& one : counts.left_out) held.insert(one.id);
  for (const std::string& id : ids_)
    if (!held.contains(id)) counts.left_out.push_back({id, kLeftOutBefore});
  return manifest;
}

// The studies that no group could take: all others show their patient, or are paired already.
void ShardBuilder::name_ungrouped(BuildCounts& counts) const {
  std::set<std::size_t> grouped;
  for (const Group& group : groups_) grouped.insert(group.studies.begin(), group.studies.end());
  for (std::size_t study = 0; study < ids_.size(); ++study) {
    if (grouped.contains(study)) continue;
    const std::string reason = "too many scans of one patient: none of another is left to pair";
    log::warn("study left out", {{"study", ids_[study]}, {"reason", reason}});
    counts.left_out.push_back({ids_[study], reason});
  }
}

void ShardBuilder::count(BuildCounts& counts) const {
  for (const auto& result : results_) {
    if (!result) continue;
    counts.plan.landmarks += result->plan.landmarks;
    counts.plan.draws += result->plan.draws;
    counts.plan.fallbacks += result->plan.fallbacks;
    counts.plan.small_studies += result->plan.small_studies;
    counts.crops += result->crops;
    counts.left_out.insert(counts.left_out.end(), result->left_out.begin(), result->left_out.end());
    if (result->shard.pairs > 0) ++(result->found ? counts.kept_shards : counts.written_shards);
    if (result->repaired) counts.repaired.push_back(result->shard.file);
  }
}

// The same for every process: all results are there.
store::StoreManifest ShardBuilder::manifest_of(BuildCounts& counts) const {
  count(counts);
  store::StoreManifest manifest;
  manifest.header = header_;
  manifest.config = settings(plan_);
  std::map<std::string, std::size_t> row;
  for (std::size_t study = 0; study < ids_.size(); ++study) row[ids_[study]] = study;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const GroupResult& result = *results_[g];
    for (const std::string& id : result.studies) {
      manifest.studies[groups_[g].split].push_back(id);
      manifest.subjects[id] = subjects_[row.at(id)];
    }
    if (result.shard.pairs > 0) manifest.shards.push_back(result.shard);
  }
  return manifest;
}

void ShardBuilder::refuse_empty(const BuildCounts& counts) const {
  std::string what = "no pair possible: ";
  if (!counts.left_out.empty()) {
    const auto& first = counts.left_out.front();
    what += std::to_string(counts.left_out.size()) + " studies could not be used (" + first.id +
            ": " + first.reason + "), ";
  }
  throw Error(Fault::Data,
              what + std::to_string(counts.crops.refused()) + " crops were refused, " +
                  std::to_string(counts.plan.small_studies) +
                  " studies were too small for a landmark",
              "mend what cannot be read, choose a smaller --crop or --margin, or raise "
              "shard.refuse_outside");
}

}  // namespace homolog::shard

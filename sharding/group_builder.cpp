#include "sharding/group_builder.h"

#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "sharding/store/shard_reader.h"

namespace homolog::shard {
namespace fs = std::filesystem;
namespace {

// Whether a shard holds what was put into it: by its record's hash, or by its own checksums.
bool is_sound(const fs::path& file, const std::optional<GroupResult>& recorded) try {
  if (recorded) return xxh3_64_file(file) == recorded->shard.xxh3;
  const store::ShardReader shard(file);
  shard.read_crop_table();
  std::vector<std::byte> stored(static_cast<std::size_t>(shard.header().bytes()));
  store::PackedCrop packed;
  for (std::int64_t crop = 0; crop < shard.crops(); ++crop) {
    stop_if_asked("finished shards are in " + file.parent_path().string(),
                  "run the same command again to go on");
    shard.read_stored(crop, stored, packed);
  }
  return true;
} catch (const Error& damaged) {
  if (damaged.fault() != Fault::Data) throw;
  return false;
}

}  // namespace

store::ShardHeader GroupBuilder::header_of(const Group& group) const {
  store::ShardHeader h = header_;
  h.split = group.split;
  return h;
}

void GroupBuilder::stop_if_asked() const {
  homolog::stop_if_asked("finished shards are in " + where_.string(),
                         "run the same command again to go on");
}

bool GroupBuilder::can_be_read(std::size_t study, GroupResult& result) {
  stop_if_asked();
  try {
    studies_.check(study);
    return true;
  } catch (const Error& fault) {
    if (fault.fault() != Fault::Data) throw;
    log::warn("study left out", {{"study", ids_[study]}, {"reason", fault.summary()}});
    result.left_out.push_back({ids_[study], fault.summary()});
    return false;
  }
}

// The group without the studies that cannot be read; empty when no pair is left in it.
Group GroupBuilder::readable(const Group& group, GroupResult& result) {
  Group rest{group.split, {}};
  for (const std::size_t study : group.studies) {
    if (can_be_read(study, result)) rest.studies.push_back(study);
  }
  if (rest.studies.size() == 1) {
    const std::string& id = ids_[rest.studies.front()];
    log::warn("study left out, the others of its group cannot be read", {{"study", id}});
    result.left_out.push_back({id, "the others of its group cannot be read"});
    rest.studies.clear();
  }
  return rest;
}

void GroupBuilder::require_own(const fs::path& file, const Group& group) const {
  if (!fs::exists(file)) return;
  try {
    if (store::ShardReader(file).header() == header_of(group)) return;
  } catch (const Error& damaged) {
    if (damaged.fault() != Fault::Data) throw;
    return;
  }
  throw Error(Fault::Usage, file.string() + " is a shard of other settings, studies or SAM weights",
              "choose another --out, or remove that folder");
}

std::optional<GroupResult> GroupBuilder::kept(const fs::path& file, const Group& group,
                                              const std::optional<GroupResult>& recorded,
                                              bool& damaged) {
  if (!fs::exists(file)) return std::nullopt;
  require_own(file, group);
  if (!is_sound(file, recorded)) {
    log::warn("shard damaged, written again", {{"shard", file.filename().string()}});
    damaged = true;
    return std::nullopt;
  }
  const store::ShardReader shard(file);
  std::set<std::string> held;
  for (const store::StudyRecord& study : shard.studies()) held.insert(study.name());
  GroupResult result;
  result.found = true;
  for (const std::size_t study : group.studies) {
    if (held.contains(ids_[study])) {
      result.studies.push_back(ids_[study]);
    } else if (can_be_read(study, result)) {
      return std::nullopt;
    }
  }
  result.shard = {file.filename().string(),
                  group.split,
                  static_cast<std::int64_t>(shard.pairs().size()),
                  shard.crops(),
                  fs::file_size(file),
                  xxh3_64_file(file)};
  return result;
}

GroupResult GroupBuilder::finish(const fs::path& file, const Group& group,
                                 const std::optional<GroupResult>& recorded,
                                 const std::function<void(std::int64_t)>& advanced) {
  GroupResult result;
  if (auto there = kept(file, group, recorded, result.repaired)) return *there;
  const Group rest = readable(group, result);
  if (rest.studies.empty()) return result;
  for (const std::size_t study : rest.studies) result.studies.push_back(ids_[study]);
  GroupShard shard(file, header_of(group), plan_, rest, ids_, studies_);
  PairPlanner planner(plan_, ids_, studies_);
  for (const std::size_t anchor : rest.studies) {
    for (const Landmark& landmark : planner.landmarks_of(rest, anchor, result.plan))
      shard.add(landmark);
    advanced(plan_.landmarks_per_study);
    stop_if_asked();
  }
  result.shard = shard.seal();
  result.crops = shard.counts();
  return result;
}

}  // namespace homolog::shard

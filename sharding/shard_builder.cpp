// The outer loop of homolog shard.
// A shard is a group, so what is on disk tells what is left to do.
#include "sharding/shard_builder.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "sharding/store/shard_reader.h"
#include "volume/crop.h"

namespace homolog::shard {
namespace fs = std::filesystem;

namespace {

std::array<std::int32_t, 3> narrow(const Index3& i) {
  return {static_cast<std::int32_t>(i.x), static_cast<std::int32_t>(i.y),
          static_cast<std::int32_t>(i.z)};
}

store::StudyRecord record_of(const std::string& id, const Volume& volume) {
  store::StudyRecord record = store::StudyRecord::named(id);
  const Box body = body_box(volume);
  record.grid = narrow(volume.grid.size);
  record.body_first = narrow(body.low);
  record.body_last = narrow(body.high);
  return record;
}

bool is_whole(const fs::path& file, const store::ShardSummary& shard) {
  std::error_code absent;
  return fs::file_size(file, absent) == shard.bytes && xxh3_64_file(file) == shard.xxh3;
}

}  // namespace

std::vector<import::CatalogEntry> distinct(const std::vector<import::CatalogEntry>& entries,
                                           std::int64_t& duplicates) {
  std::set<std::string> seen;
  std::vector<import::CatalogEntry> out;
  for (const auto& entry : entries) {
    if (seen.insert(entry.content_hash).second) {
      out.push_back(entry);
    } else {
      ++duplicates;
      log::warn("study left out, its voxels are another's", {{"study", entry.id}});
    }
  }
  return out;
}

ShardBuilder::ShardBuilder(ShardPlan plan, std::vector<import::CatalogEntry> entries,
                           Studies& studies, std::string sam_hash, fs::path out)
    : plan_(std::move(plan)),
      entries_(std::move(entries)),
      studies_(studies),
      sam_hash_(std::move(sam_hash)),
      plan_hash_(plan_hash(plan_, sam_hash_, entries_)),
      out_(std::move(out)) {
  for (const auto& entry : entries_) ids_.push_back(entry.id);
  std::vector<Member> members;
  for (auto& entry : entries_) {
    if (entry.subject.empty()) entry.subject = entry.id;
    members.push_back({entry.id, entry.subject});
  }
  groups_ = make_groups(members, plan_.validation, plan_.partners, plan_.seed);
}

std::int64_t ShardBuilder::total_landmarks() const {
  std::size_t studies = 0;
  for (const Group& group : groups_) studies += group.studies.size();
  return static_cast<std::int64_t>(studies) * plan_.points_per_study;
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

store::ShardHeader ShardBuilder::header(const std::string& split) const {
  auto h = header_of(plan_, sam_hash_, plan_hash_);
  h.split = split;
  return h;
}

bool ShardBuilder::already_there(store::StoreManifest& manifest, BuildCounts& counts) const {
  if (!fs::exists(out_ / "store.json")) return false;
  manifest = store::load_manifest(out_);
  if (manifest.header.plan_hash != plan_hash_) {
    throw Error(Fault::Usage,
                out_.string() + " holds a finished store of other settings, studies or SAM weights",
                "choose another --out, or remove that folder");
  }
  std::vector<fs::path> damaged;
  for (const store::ShardSummary& shard : manifest.shards) {
    if (!is_whole(out_ / shard.file, shard)) damaged.push_back(out_ / shard.file);
  }
  if (!damaged.empty()) {
    fs::remove(out_ / "store.json");  // unfinished again: whole shards are kept
    for (const fs::path& file : damaged) {
      log::warn("shard missing or damaged, written again", {{"shard", file.filename().string()}});
      fs::remove(file);
    }
    return false;
  }
  counts.kept_shards = static_cast<std::int64_t>(manifest.shards.size());
  std::set<std::string> held;
  for (const auto& [split, ids] : manifest.studies) held.insert(ids.begin(), ids.end());
  for (const std::string& id : ids_) {
    if (!held.contains(id)) counts.left_out.push_back({id, "left out when the store was made"});
  }
  return true;
}

void ShardBuilder::stop_if_asked() const {
  homolog::stop_if_asked("finished shards are in " + out_.string(),
                         "run the same command again to go on");
}

bool ShardBuilder::can_be_read(std::size_t study, BuildCounts& counts) {
  stop_if_asked();
  try {
    studies_.check(study);
    return true;
  } catch (const Error& fault) {
    if (fault.fault() != Fault::Data) throw;
    log::warn("study left out", {{"study", ids_[study]}, {"reason", fault.summary()}});
    counts.left_out.push_back({ids_[study], fault.summary()});
    return false;
  }
}

// The group without the studies that cannot be read; empty when no pair is left in it.
Group ShardBuilder::readable(const Group& group, BuildCounts& counts) {
  Group result{group.split, {}};
  for (const std::size_t study : group.studies) {
    if (can_be_read(study, counts)) result.studies.push_back(study);
  }
  if (result.studies.size() == 1) {
    const std::string& id = ids_[result.studies.front()];
    log::warn("study left out, the others of its group cannot be read", {{"study", id}});
    counts.left_out.push_back({id, "the others of its group cannot be read"});
    result.studies.clear();
  }
  return result;
}

// What a finished shard holds of its group. Nothing when a study that it lacks can be read by now:
// the shard is written again, so that the store does not tell when it was interrupted.
std::optional<Group> ShardBuilder::finished(const fs::path& file, const Group& group,
                                            BuildCounts& counts) {
  if (!fs::exists(file)) return std::nullopt;
  const store::ShardReader shard(file);
  if (!(shard.header() == header(group.split))) {
    throw Error(Fault::Usage,
                file.string() + " is a shard of other settings, studies or SAM weights",
                "choose another --out, or remove that folder");
  }
  std::set<std::string> held;
  for (const store::StudyRecord& study : shard.studies()) held.insert(study.name());
  Group result{group.split, {}};
  BuildCounts lost;
  for (const std::size_t study : group.studies) {
    if (held.contains(ids_[study])) {
      result.studies.push_back(study);
    } else if (can_be_read(study, lost)) {
      return std::nullopt;
    }
  }
  counts.left_out.insert(counts.left_out.end(), lost.left_out.begin(), lost.left_out.end());
  return result;
}

store::ShardSummary ShardBuilder::summary_of(const fs::path& file, const Group& group) const {
  const store::ShardReader shard(file);
  return {file.filename().string(),
          group.split,
          static_cast<std::int64_t>(shard.pairs().size()),
          shard.crops(),
          fs::file_size(file),
          xxh3_64_file(file)};
}

void ShardBuilder::add(const Landmark& landmark, const Group& group, store::ShardWriter& writer,
                       BuildCounts& counts) {
  const Index3 size = header(group.split).crop;
  std::vector<std::optional<Crop>> crops;
  for (const PlannedCrop& planned : landmark.crops) {
    Crop crop = cut(*studies_.volume(planned.study), planned.voxel, size);
    const bool refused = crop.outside_share > plan_.refuse_outside || crop.body_share == 0;
    counts.refused_crops += refused;
    counts.warned_crops += !refused && crop.outside_share > plan_.warn_outside;
    crops.push_back(refused ? std::nullopt : std::optional<Crop>(std::move(crop)));
  }
  // A crop is stored when the first pair that needs it is.
  std::vector<std::optional<std::uint32_t>> rows(crops.size());
  const auto row_of = [&](std::size_t i) {
    if (rows[i]) return *rows[i];
    const PlannedCrop& planned = landmark.crops[i];
    const Grid& grid = studies_.volume(planned.study)->grid;
    const Point3 world = grid.to_world(planned.voxel);
    store::CropRecord record;
    record.study = static_cast<std::uint32_t>(
        std::find(group.studies.begin(), group.studies.end(), planned.study) -
        group.studies.begin());
    record.voxel = narrow(planned.voxel);
    record.centre_lps_mm = {world.x, world.y, world.z};
    record.spacing_mm = {grid.spacing.x, grid.spacing.y, grid.spacing.z};
    record.direction = grid.direction;
    record.outside_share = static_cast<float>(crops[i]->outside_share);
    rows[i] = writer.add_crop(record, crops[i]->hu);
    return *rows[i];
  };
  for (const PlannedPair& pair : landmark.pairs) {
    if (!crops[pair.query] || !crops[pair.key]) continue;
    const std::uint32_t query = row_of(pair.query), key = row_of(pair.key);
    writer.add_pair({query, key, static_cast<float>(pair.score)});
  }
}

store::ShardSummary ShardBuilder::write(const fs::path& file, const Group& group,
                                        BuildCounts& counts,
                                        const std::function<void(std::int64_t)>& advanced) {
  std::vector<store::StudyRecord> records;
  for (const std::size_t study : group.studies)
    records.push_back(record_of(ids_[study], *studies_.volume(study)));
  store::ShardWriter writer(file, header(group.split), records);
  PairPlanner planner(plan_, ids_, studies_);
  for (const std::size_t anchor : group.studies) {
    for (const Landmark& landmark : planner.landmarks_of(group, anchor, counts.plan))
      add(landmark, group, writer, counts);
    advanced(plan_.points_per_study);
    stop_if_asked();
  }
  // An empty shard is not worth a file: the unsealed writer leaves nothing.
  return writer.pairs() == 0 ? store::ShardSummary{} : writer.seal();
}

void ShardBuilder::refuse_empty(const BuildCounts& counts) const {
  std::string what = "no pair possible: ";
  if (!counts.left_out.empty()) {
    const auto& first = counts.left_out.front();
    what += std::to_string(counts.left_out.size()) + " studies could not be used (" + first.id +
            ": " + first.reason + "), ";
  }
  throw Error(Fault::Data,
              what + std::to_string(counts.refused_crops) + " crops were refused, " +
                  std::to_string(counts.plan.small_studies) +
                  " studies were too small for a landmark",
              "mend what cannot be read, choose a smaller shard.crop, or raise "
              "shard.refuse_outside");
}

store::StoreManifest ShardBuilder::build(BuildCounts& counts,
                                         const std::function<void(std::int64_t)>& advanced) {
  std::error_code ec;
  fs::create_directories(out_, ec);
  if (ec)
    throw Error(Fault::Environment, "cannot create " + out_.string() + ": " + ec.message(),
                "choose another --out");
  remove_leftovers(out_);
  store::StoreManifest manifest;
  if (already_there(manifest, counts)) return manifest;
  manifest = {};
  name_ungrouped(counts);
  manifest.header = header("train");
  manifest.config = settings(plan_);
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const fs::path file = out_ / store::shard_file_name(static_cast<std::int64_t>(g));
    const auto kept = finished(file, groups_[g], counts);
    const Group group = kept ? *kept : readable(groups_[g], counts);
    const std::size_t missing = groups_[g].studies.size() - (kept ? 0 : group.studies.size());
    advanced(plan_.points_per_study * static_cast<std::int64_t>(missing));
    if (group.studies.empty()) continue;
    store::ShardSummary shard =
        kept ? summary_of(file, group) : write(file, group, counts, advanced);
    for (const std::size_t study : group.studies) {
      manifest.studies[group.split].push_back(ids_[study]);
      manifest.subjects[ids_[study]] = entries_[study].subject;
    }
    if (shard.pairs == 0) continue;
    ++(kept ? counts.kept_shards : counts.written_shards);
    manifest.shards.push_back(std::move(shard));
  }
  if (manifest.pairs("train") == 0) refuse_empty(counts);
  store::save_manifest(out_, manifest);
  return manifest;
}

}  // namespace homolog::shard

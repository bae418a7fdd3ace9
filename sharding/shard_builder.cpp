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
  groups_ = make_groups(ids_, plan_.validation, plan_.partners, plan_.seed);
}

std::int64_t ShardBuilder::total_landmarks() const {
  return static_cast<std::int64_t>(ids_.size()) * plan_.points_per_study;
}

store::ShardHeader ShardBuilder::header(const std::string& split) const {
  auto h = header_of(plan_, sam_hash_, plan_hash_);
  h.split = split;
  return h;
}

bool ShardBuilder::already_there(store::StoreManifest& manifest) const {
  if (!fs::exists(out_ / "store.json")) return false;
  manifest = store::load_manifest(out_);
  if (manifest.header.plan_hash == plan_hash_) return true;
  throw Error(Fault::Usage,
              out_.string() + " holds a finished store of other settings, studies or SAM weights",
              "choose another --out, or remove that folder");
}

store::ShardSummary ShardBuilder::kept(const fs::path& file, const Group& group) const {
  const store::ShardReader shard(file);
  if (!(shard.header() == header(group.split))) {
    throw Error(Fault::Usage,
                file.string() + " is a shard of other settings, studies or SAM weights",
                "choose another --out, or remove that folder");
  }
  return {file.filename().string(),
          group.split,
          static_cast<std::int64_t>(shard.pairs().size()),
          static_cast<std::int64_t>(shard.crops().size()),
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
    record.voxel = {static_cast<std::int32_t>(planned.voxel.x),
                    static_cast<std::int32_t>(planned.voxel.y),
                    static_cast<std::int32_t>(planned.voxel.z)};
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
  std::vector<std::string> ids;
  for (const std::size_t study : group.studies) ids.push_back(ids_[study]);
  store::ShardWriter writer(file, header(group.split), ids);
  PairPlanner planner(plan_, ids_, studies_);
  for (const std::size_t anchor : group.studies) {
    for (const Landmark& landmark : planner.landmarks_of(group, anchor, counts.plan))
      add(landmark, group, writer, counts);
    advanced(plan_.points_per_study);
    if (stop_signals_received() > 0) {
      throw Error(Fault::Stopped, "stopped on request; finished shards are in " + out_.string(),
                  "run the same command again to go on");
    }
  }
  // An empty shard is not worth a file: the unsealed writer leaves nothing.
  return writer.pairs() == 0 ? store::ShardSummary{} : writer.seal();
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
  if (already_there(manifest)) {
    counts.kept_shards = static_cast<std::int64_t>(manifest.shards.size());
    return manifest;
  }
  manifest.header = header("train");
  manifest.config = settings(plan_);
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    const fs::path file = out_ / store::shard_file_name(static_cast<std::int64_t>(g));
    const bool keep = fs::exists(file);
    store::ShardSummary shard = keep ? kept(file, group) : write(file, group, counts, advanced);
    if (keep) advanced(plan_.points_per_study * static_cast<std::int64_t>(group.studies.size()));
    for (const std::size_t study : group.studies)
      manifest.studies[group.split].push_back(ids_[study]);
    if (shard.pairs == 0) continue;
    ++(keep ? counts.kept_shards : counts.written_shards);
    manifest.shards.push_back(std::move(shard));
  }
  if (manifest.pairs("train") == 0) {
    throw Error(Fault::Data,
                "no pair possible: " + std::to_string(counts.refused_crops) +
                    " crops were refused, " + std::to_string(counts.plan.small_studies) +
                    " studies were too small for a landmark",
                "choose a smaller shard.crop, or raise shard.refuse_outside");
  }
  store::save_manifest(out_, manifest);
  return manifest;
}

}  // namespace homolog::shard

// Shard by shard, so that memory is that of one shard's tables.
#include "sharding/store/commands/stats.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/hash.h"
#include "sharding/store/commands/body_coverage.h"
#include "sharding/store/commands/distribution.h"
#include "sharding/store/commands/hu_sample.h"
#include "sharding/store/commands/read_stop.h"
#include "sharding/store/landmark_groups.h"
#include "sharding/store/shard_reader.h"
#include "sharding/store/store_manifest.h"

namespace homolog::store {
namespace {

using Json = nlohmann::ordered_json;

struct SplitStats {
  Histogram score = score_histogram();
  std::vector<double> scores;
};

class Stats {
 public:
  Stats(const StoreManifest& manifest, const StatsPlan& plan)
      : manifest_(manifest), hu_(manifest.header, manifest.crops(), plan.sample) {}

  void add(const ShardReader& shard) {
    SplitStats& split = splits_[shard.header().split];
    const std::vector<CropRecord> crops = shard.read_crop_table();
    std::map<std::uint32_t, std::int64_t> pairs_of;
    for (const PairRecord& pair : shard.pairs()) {
      split.score.add(pair.score);
      split.scores.push_back(pair.score);
      for (const std::uint32_t row : {pair.query, pair.key}) ++pairs_of[crops[row].study];
    }
    for (const auto& [study, pairs] : pairs_of)
      pairs_per_study_.push_back(static_cast<double>(pairs));
    for (const std::int64_t n : crops_per_landmark(shard.crops(), shard.pairs())) ++landmarks_[n];
    for (const CropRecord& crop : crops) {
      outside_.push_back(crop.outside_share);
      outside_bins_.add(crop.outside_share);
    }
    add_bodies(shard, crops);
    hu_.add(shard);
    const double raw = static_cast<double>(shard.crops() * shard.header().bytes());
    ratios_.push_back(static_cast<double>(std::filesystem::file_size(shard.file())) / raw);
  }

  Json to_json() const {
    Json row{{"store_hash", hex64(manifest_.hash)}};
    for (const std::string split : {"train", "validation"}) row["splits"][split] = of_split(split);
    Json sizes = Json::object();
    std::int64_t landmarks = 0;
    for (const auto& [crops, count] : landmarks_) {
      sizes[std::to_string(crops)] = count;
      landmarks += count;
    }
    row["landmarks"] = {{"count", landmarks}, {"by_studies", sizes}};
    row["pairs_per_study"] = store::to_json(distribution_of(pairs_per_study_));
    row["body_covered"] = store::to_json(distribution_of(covered_));
    row["body_unknown"] = unknown_bodies_;
    row["height_in_body"] = height_.to_json();
    row["outside_share"] = store::to_json(distribution_of(outside_));
    row["outside_share"]["histogram"] = outside_bins_.to_json();
    row["window"] = hu_.to_json();
    row["stored_of_raw"] = store::to_json(distribution_of(ratios_));
    return row;
  }

 private:
  void add_bodies(const ShardReader& shard, const std::vector<CropRecord>& crops) {
    std::vector<std::vector<CropRecord>> of_study(shard.studies().size());
    for (const CropRecord& crop : crops) of_study[crop.study].push_back(crop);
    for (std::size_t s = 0; s < of_study.size(); ++s) {
      const StudyRecord& study = shard.studies()[s];
      if (!knows_body(study)) {
        ++unknown_bodies_;
        continue;
      }
      covered_.push_back(covered_share(shard.header(), study, of_study[s]));
      for (const CropRecord& crop : of_study[s]) height_.add(height_in_body(study, crop));
    }
  }

  Json of_split(const std::string& name) const {
    const auto split = splits_.find(name);
    const auto studies = manifest_.studies.find(name);
    std::set<std::string> subjects;
    if (studies != manifest_.studies.end()) {
      for (const std::string& id : studies->second) subjects.insert(manifest_.subject_of(id));
    }
    const SplitStats none;
    const SplitStats& s = split == splits_.end() ? none : split->second;
    Json score = store::to_json(distribution_of(s.scores));
    score["histogram"] = s.score.to_json();
    return {{"pairs", s.scores.size()},
            {"studies", studies == manifest_.studies.end() ? 0 : studies->second.size()},
            {"subjects", subjects.size()},
            {"score", score}};
  }

  const StoreManifest& manifest_;
  std::map<std::string, SplitStats> splits_;
  std::map<std::int64_t, std::int64_t> landmarks_;  // crops of a landmark -> such landmarks
  std::vector<double> pairs_per_study_, covered_, outside_, ratios_;
  std::int64_t unknown_bodies_ = 0;
  Histogram height_{0, 1, 20}, outside_bins_{0, 1, 10};
  HuSample hu_;
};

}  // namespace

nlohmann::ordered_json stats(const std::filesystem::path& store, const StatsPlan& plan,
                             const std::function<void(std::int64_t)>& advanced) {
  const StoreManifest manifest = load_manifest(store);
  Stats stats(manifest, plan);
  for (const ShardSummary& shard : manifest.shards) {
    stop_reading_if_asked();
    stats.add(ShardReader(store / shard.file));
    if (advanced) advanced(1);
  }
  return stats.to_json();
}

}  // namespace homolog::store

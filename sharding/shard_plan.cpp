// Declaration, validation and hashing of the shard settings.
// settings() is the one list: store.json shows it and the hash covers it.
#include "sharding/shard_plan.h"

#include <cstdio>

#include "base/error.h"
#include "base/hash.h"

namespace homolog::shard {

void declare(Options& o, ShardPlan& p) {
  o.add("shard.crop", p.crop, "sides of a crop: x,y,z", {.min = 16, .max = 1024, .unit = "voxels"});
  o.add("shard.points_per_study", p.points_per_study, "landmarks drawn in each study",
        {.min = 1, .max = 4096});
  o.add("shard.partners", p.partners, "studies that share a landmark, its own included",
        {.min = 2, .max = 64});
  o.add("shard.threshold", p.threshold, "similarity that admits a pair", {.min = -1, .max = 1});
  o.add("shard.attempts", p.attempts, "draws of a landmark before the best is taken",
        {.min = 1, .max = 10000});
  o.add("shard.validation", p.validation, "share of the patients kept for validation",
        {.min = 0, .max = 0.5});
  o.add("shard.margin", p.margin, "stored around a crop for random shifts",
        {.min = 0, .max = 256, .unit = "voxels"});
  o.add("shard.window_low", p.window_low, "lower end of the window",
        {.min = -32768, .max = 32767, .unit = "HU"});
  o.add("shard.window_high", p.window_high, "upper end of the window",
        {.min = -32768, .max = 32767, .unit = "HU"});
  o.add("shard.encoding", p.encoding, "uint16: clipped to the window; int16: every HU",
        {.choices = {"uint16", "int16"}});
  o.add("shard.match", p.match, match::kModeHelp, {.choices = {"refined", "exact", "image"}});
  o.add("shard.match_neighbours", p.match_neighbours,
        "cells to each side of a point's own whose matches are averaged (the reference's multi_pt)",
        {.min = 0, .max = 3, .unit = "cells"});
  o.add("shard.warn_outside", p.warn_outside, "share of a crop outside its volume that is reported",
        {.min = 0, .max = 1});
  o.add("shard.refuse_outside", p.refuse_outside,
        "share of a crop outside its volume that is refused", {.min = 0, .max = 1});
  o.add("shard.seed", p.seed, "seed of split, groups and landmarks");
  o.add("shard.studies_in_memory", p.studies_in_memory, "volumes and embeddings kept loaded",
        {.min = 2, .max = 4096});
}

void validate(const ShardPlan& p) {
  if (p.crop.size() != 3)
    throw Error(Fault::Usage, "shard.crop needs three sides", "write it as 192,192,64");
  for (const std::int64_t side : p.crop) {
    if (side % 2 != 0)
      throw Error(Fault::Usage, "shard.crop has an odd side " + std::to_string(side),
                  "choose even sides");
  }
  const std::int64_t crops = (p.partners + 1) * p.points_per_study * (p.partners + 1);
  if (crops > store::kMaxCropsPerShard) {
    throw Error(Fault::Usage,
                "a shard would hold up to " + std::to_string(crops) + " crops, the format allows " +
                    std::to_string(store::kMaxCropsPerShard),
                "lower shard.points_per_study or shard.partners");
  }
  if (p.studies_in_memory < p.partners + 1) {
    throw Error(Fault::Usage,
                "shard.studies_in_memory " + std::to_string(p.studies_in_memory) +
                    " is less than a group needs",
                "set it to at least shard.partners + 1");
  }
  store::validate(header_of(p, hex64(0), hex64(0)));
}

std::map<std::string, std::string> settings(const ShardPlan& p) {
  const auto number = [](double v) {
    char text[40];
    std::snprintf(text, sizeof text, "%.9g", v);
    return std::string(text);
  };
  std::map<std::string, std::string> all = {
      {"crop", std::to_string(p.crop[0]) + "," + std::to_string(p.crop[1]) + "," +
                   std::to_string(p.crop[2])},
      {"points_per_study", std::to_string(p.points_per_study)},
      {"partners", std::to_string(p.partners)},
      {"threshold", number(p.threshold)},
      {"attempts", std::to_string(p.attempts)},
      {"validation", number(p.validation)},
      {"margin", std::to_string(p.margin)},
      {"window_low", std::to_string(p.window_low)},
      {"window_high", std::to_string(p.window_high)},
      {"encoding", p.encoding},
      {"match", p.match},
      {"refuse_outside", number(p.refuse_outside)},
      {"seed", std::to_string(p.seed)}};
  if (p.match_neighbours > 0)  // stores that were begun without that option keep their hash
    all["match_neighbours"] = std::to_string(p.match_neighbours);
  return all;
}

std::string plan_hash(const ShardPlan& plan, const std::string& sam_hash,
                      const std::vector<import::CatalogEntry>& studies) {
  std::string text = std::to_string(store::kFormatVersion) + "|" + sam_hash;
  for (const auto& [key, value] : settings(plan)) text += "|" + key + "=" + value;
  for (const auto& study : studies)
    text += "|" + study.id + ":" + study.content_hash + ":" + study.subject;
  return hex64(xxh3_64(text));
}

store::ShardHeader header_of(const ShardPlan& p, const std::string& sam_hash,
                             const std::string& hash) {
  store::ShardHeader h;
  h.crop = {p.crop[0] + 2 * p.margin, p.crop[1] + 2 * p.margin, p.crop[2] + 2 * p.margin};
  h.margin = static_cast<int>(p.margin);
  h.encoding = p.encoding == "int16" ? store::Encoding::RawI16 : store::Encoding::ClippedU16;
  h.window_low_hu = static_cast<int>(p.window_low);
  h.window_high_hu = static_cast<int>(p.window_high);
  h.sam_hash = sam_hash;
  h.plan_hash = hash;
  return h;
}

}  // namespace homolog::shard

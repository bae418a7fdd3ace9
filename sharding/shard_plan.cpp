// Declaration, validation and hashing of the shard settings.
// settings() is the one list: store.json shows it and the hash covers it.
#include "sharding/shard_plan.h"

#include <array>
#include <charconv>
#include <cstdio>

#include "base/error.h"
#include "base/hash.h"

namespace homolog::shard {

void declare(Options& o, ShardPlan& p) {
  o.add("shard.crop", p.crop, "sides of a crop: x,y,z", {.min = 16, .max = 1024, .unit = "voxels"});
  o.add("shard.landmarks_per_study", p.landmarks_per_study, "landmarks drawn in each study",
        {.min = 1, .max = 4096});
  o.add("shard.studies_per_landmark", p.studies_per_landmark,
        "studies that share a landmark, its own included: M crops of it serve up to M(M-1) pairs",
        {.min = 2, .max = 64});
  o.add("shard.threshold", p.threshold, "similarity that admits a pair", {.min = -1, .max = 1});
  o.add("shard.attempts", p.attempts, "draws of a landmark before the best is taken",
        {.min = 1, .max = 10000});
  o.add("shard.validation", p.validation, "share of the patients kept for validation",
        {.min = 0, .max = 0.5});
  o.add("shard.margin", p.margin, "stored around a crop for random shifts",
        {.min = 0, .max = 256, .unit = "voxels"});
  o.add("shard.spacing", p.spacing,
        "native: each scan's own voxels; x,y,z in mm: crops are resampled to it (linear)");
  o.add("shard.window_low", p.window_low, "lower end of the window",
        {.min = -32768, .max = 32767, .unit = "HU"});
  o.add("shard.window_high", p.window_high, "upper end of the window",
        {.min = -32768, .max = 32767, .unit = "HU"});
  o.add("shard.voxel", p.voxel,
        "u16: clipped to the window, lossless; u8: the window in 256 steps, lossy where it is "
        "wider; i16: every HU",
        {.choices = {"u16", "u8", "i16"}});
  o.add("shard.codec", p.codec, "lz4: fastest to read; zstd: smaller",
        {.choices = {"lz4", "zstd"}});
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
  o.flags_without_section("shard");
}

std::optional<Point3> ShardPlan::spacing_mm() const {
  if (spacing == "native") return std::nullopt;
  std::array<double, 3> mm{};
  const char* at = spacing.data();
  const char* const end = at + spacing.size();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto [next, bad] = std::from_chars(at, end, mm[axis]);
    const bool ends_well = axis == 2 ? next == end : next != end && *next == ',';
    if (bad != std::errc() || !ends_well || !(mm[axis] >= 0.1 && mm[axis] <= 20)) {
      throw Error(Fault::Usage,
                  "shard.spacing = " + spacing + " is not three lengths of 0.1 to 20 mm",
                  "write native, or x,y,z as in 2,2,2");
    }
    at = next + 1;
  }
  return Point3{mm[0], mm[1], mm[2]};
}

void validate(const ShardPlan& p) {
  if (p.crop.size() != 3)
    throw Error(Fault::Usage, "shard.crop needs three sides", "write it as 192,192,64");
  for (const std::int64_t side : p.crop) {
    if (side % 2 != 0)
      throw Error(Fault::Usage, "shard.crop has an odd side " + std::to_string(side),
                  "choose even sides");
  }
  p.spacing_mm();
  // A group has one study more where one was left over.
  const std::int64_t most = p.studies_per_landmark + 1;
  if (most * p.landmarks_per_study * most > store::kMaxCropsPerShard) {
    const std::int64_t fits = store::kMaxCropsPerShard / (most * most);
    throw Error(Fault::Usage,
                "a shard would hold up to " + std::to_string(most * p.landmarks_per_study * most) +
                    " crops, the format allows " + std::to_string(store::kMaxCropsPerShard),
                "with shard.studies_per_landmark = " + std::to_string(p.studies_per_landmark) +
                    " set shard.landmarks_per_study to at most " + std::to_string(fits));
  }
  if (p.studies_in_memory < most) {
    throw Error(Fault::Usage,
                "shard.studies_in_memory " + std::to_string(p.studies_in_memory) +
                    " is less than a group needs",
                "set it to at least shard.studies_per_landmark + 1");
  }
  store::validate(header_of(p, hex64(0), hex64(0)));
}

std::map<std::string, std::string> settings(const ShardPlan& p) {
  const auto number = [](double v) {
    char text[40];
    std::snprintf(text, sizeof text, "%.9g", v);
    return std::string(text);
  };
  const auto spacing = p.spacing_mm();
  return {
      {"crop", std::to_string(p.crop[0]) + "," + std::to_string(p.crop[1]) + "," +
                   std::to_string(p.crop[2])},
      {"landmarks_per_study", std::to_string(p.landmarks_per_study)},
      {"studies_per_landmark", std::to_string(p.studies_per_landmark)},
      {"threshold", number(p.threshold)},
      {"attempts", std::to_string(p.attempts)},
      {"validation", number(p.validation)},
      {"margin", std::to_string(p.margin)},
      {"window_low", std::to_string(p.window_low)},
      {"window_high", std::to_string(p.window_high)},
      {"spacing", spacing ? number(spacing->x) + "," + number(spacing->y) + "," + number(spacing->z)
                          : "native"},
      {"voxel", p.voxel},
      {"codec", p.codec},
      {"match", p.match},
      {"match_neighbours", std::to_string(p.match_neighbours)},
      {"refuse_outside", number(p.refuse_outside)},
      {"seed", std::to_string(p.seed)}};
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
  h.encoding = p.voxel == "i16"  ? store::Encoding::RawI16
               : p.voxel == "u8" ? store::Encoding::SteppedU8
                                 : store::Encoding::ClippedU16;
  h.codec = store::codec_named(p.codec);
  h.window_low_hu = static_cast<int>(p.window_low);
  h.window_high_hu = static_cast<int>(p.window_high);
  h.sam_hash = sam_hash;
  h.plan_hash = hash;
  return h;
}

}  // namespace homolog::shard

// Writes a whole store of made-up pairs, without SAM, ITK or scans, for tests of what reads stores.
// A pair is one smooth pattern seen twice with other noise, so objectives find something to learn.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "base/counter_rng.h"
#include "base/hash.h"
#include "sharding/store/shard_writer.h"
#include "sharding/store/store_manifest.h"
#include "sharding/store/store_names.h"

namespace homolog::test {

struct SyntheticPlan {
  std::int64_t train = 8, validation = 0;  // pairs
  Index3 crop{32, 32, 16};                 // x, y, z
  std::int64_t pairs_per_shard = 4;
  std::uint64_t seed = 1;
  store::Encoding encoding = store::Encoding::ClippedU16;
  store::Codec codec = store::Codec::Lz4;
  int margin = 0;
};

// HU of one crop of pair `pair`: three plane waves, the same for both sides, and noise of its own.
inline std::vector<std::int16_t> synthetic_hu(const SyntheticPlan& plan, std::int64_t pair,
                                              int side) {
  CounterRng shape(plan.seed, "synthetic-shape", static_cast<std::uint64_t>(pair));
  CounterRng noise(plan.seed, side == 0 ? "synthetic-query" : "synthetic-key",
                   static_cast<std::uint64_t>(pair));
  double f[3][4];
  for (auto& wave : f) {
    for (double& v : wave) v = shape.uniform(-0.3, 0.3);
    wave[3] = shape.uniform(0, 6.28);
  }
  std::vector<std::int16_t> hu;
  hu.reserve(static_cast<std::size_t>(plan.crop.x * plan.crop.y * plan.crop.z));
  for (std::int64_t z = 0; z < plan.crop.z; ++z) {
    for (std::int64_t y = 0; y < plan.crop.y; ++y) {
      for (std::int64_t x = 0; x < plan.crop.x; ++x) {
        double v = 60;
        for (const auto& w : f) v += 80 * std::sin(w[0] * x + w[1] * y + w[2] * z + w[3]);
        hu.push_back(
            static_cast<std::int16_t>(std::lround(v) + static_cast<int>(noise.below(31)) - 15));
      }
    }
  }
  return hu;
}

inline void write_synthetic_shard(const std::filesystem::path& folder,
                                  store::StoreManifest& manifest, const SyntheticPlan& plan,
                                  const std::string& split, std::int64_t first,
                                  std::int64_t count) {
  store::ShardHeader header = manifest.header;
  header.split = split;
  std::vector<store::StudyRecord> studies;
  for (const std::int64_t number : {2 * first + 1, 2 * first + 2})
    studies.push_back(store::StudyRecord::named(hex64(static_cast<std::uint64_t>(number))));
  store::ShardWriter writer(
      folder / store::shard_file_name(static_cast<std::int64_t>(manifest.shards.size())), header,
      studies);
  for (std::int64_t i = first; i < first + count; ++i) {
    store::CropRecord record;
    record.study = 0;
    const std::uint32_t query = writer.add_crop(record, synthetic_hu(plan, i, 0));
    record.study = 1;
    const std::uint32_t key = writer.add_crop(record, synthetic_hu(plan, i, 1));
    writer.add_pair({query, key, 0.9F});
  }
  manifest.shards.push_back(writer.seal());
  auto& list = manifest.studies[split];
  for (const store::StudyRecord& study : studies) list.push_back(study.name());
}

inline store::StoreManifest write_synthetic_store(const std::filesystem::path& folder,
                                                  const SyntheticPlan& plan) {
  std::filesystem::create_directories(folder);
  store::StoreManifest manifest;
  manifest.header.crop = plan.crop;
  manifest.header.margin = plan.margin;
  manifest.header.encoding = plan.encoding;
  manifest.header.codec = plan.codec;
  manifest.header.sam_hash = hex64(0);
  manifest.header.plan_hash = hex64(plan.seed);
  manifest.config["source"] = "synthetic";
  const auto fill = [&](const std::string& split, std::int64_t from, std::int64_t total) {
    for (std::int64_t done = 0; done < total; done += plan.pairs_per_shard) {
      write_synthetic_shard(folder, manifest, plan, split, from + done,
                            std::min(plan.pairs_per_shard, total - done));
    }
  };
  fill("train", 0, plan.train);
  fill("validation", plan.train, plan.validation);
  store::save_manifest(folder, manifest);
  return manifest;
}

}  // namespace homolog::test

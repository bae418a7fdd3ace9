// The HU of some crops of a store, counted level by level of the window.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "sharding/store/shard_reader.h"

namespace homolog::store {

class HuSample {
 public:
  // Every `total / wanted`-th of the store's `total` crops will be read.
  HuSample(const ShardHeader& header, std::int64_t total, std::int64_t wanted);
  // Those of the next shard, in listed order. Throws as ShardReader::read_window;
  // Fault::Stopped.
  void add(const ShardReader& shard);
  // Crops, HU at 1, 50 and 99 % of the voxels, shares at the window's ends, levels used, histogram.
  nlohmann::ordered_json to_json() const;

 private:
  int hu_at(double share) const;  // of the voxels below it

  ShardHeader header_;
  std::int64_t total_, wanted_, passed_ = 0, taken_ = 0;
  std::vector<std::int64_t> levels_;  // voxels of each window value
  std::vector<std::uint16_t> crop_;
  ShardReader::Scratch scratch_;
};

}  // namespace homolog::store

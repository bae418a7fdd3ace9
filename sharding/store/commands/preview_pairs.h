// The pairs that a preview shows, read whole.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sharding/store/pair_store.h"

namespace homolog::store {

struct PreviewPlan {
  std::int64_t pairs = 8;
  std::string split = "train";
  std::uint64_t seed = 1;  // which pairs are drawn
};

struct PreviewCrop {
  std::string study;  // pseudonym
  CropRecord record;
  std::vector<std::uint16_t> window;  // [z][y][x], HU above the window's low end
};
struct PreviewPair {
  std::uint64_t index = 0;  // over all splits, as in the run's logs
  std::string shard;        // file name
  std::int64_t row = 0;     // in the shard's pair_table
  double score = 0;
  PreviewCrop query, key;
};

// Hands over `plan.pairs` different pairs of the split, drawn by the seed, in the store's order,
// one at a time. Throws Fault::Usage when the split holds fewer; Fault::Data for a damaged crop;
// Fault::Stopped.
void read_preview(const PairStore& pairs, const PreviewPlan& plan,
                  const std::function<void(const PreviewPair&)>& take);

}  // namespace homolog::store

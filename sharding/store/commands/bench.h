// How fast this store is read on this machine, beside the best that it could be: its chunks decoded
// from memory, memcpy, and the disk's own speed. Ours and theirs are measured in turns.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sharding/store/pair_store.h"

namespace homolog::store {

struct BenchPlan {
  std::vector<std::int64_t> threads{1, 2, 4};
  double seconds = 3;  // of measuring, for each row
  bool cold = false;   // also from the disk: the page cache is told to drop the shards before
  int turns = 5;
};

struct BenchRow {
  std::string name;
  double ours = 0, peer = 0;  // medians over the turns
  double ratio = 0;           // median of the turns' ratios: above 1, ours is faster
  double spread = 0;          // (max - min) / median of ours
  double goal = 0;            // of the ratio; 0: none, the peer is there to compare
  std::string unit, note;
};
// {part, name, ours, peer, ratio, spread, goal, met, unit, note}, as ./run bench writes them.
nlohmann::ordered_json to_json(const BenchRow& row);

// Two rows a number of threads (pairs read, decoded and checked, against decoding alone and against
// memcpy), with `cold` one more (bytes from disk, against reading the same files from end to end).
// `done(row)` after each. Throws Fault::Usage for a split without pairs; what reading threw, from
// whichever thread: Fault::Data for a damaged crop; Fault::Stopped.
std::vector<BenchRow> bench(const PairStore& pairs, const BenchPlan& plan,
                            const std::function<void(const BenchRow&)>& done = {});

}  // namespace homolog::store

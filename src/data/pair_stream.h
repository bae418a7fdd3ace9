// Pairs of a store, in an order that is a pure function of (seed, epoch, index), read and decoded
// ahead by threads. A cursor of two integers is the whole state.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "data/pair_order.h"

namespace homolog::data {

struct Cursor {
  std::uint64_t epoch = 0;
  std::uint64_t position = 0;  // global batches already taken from this epoch
  bool operator==(const Cursor&) const = default;
};

struct PairStreamPlan {
  std::filesystem::path store;
  std::string split = "train";  // "train" or "validation"
  std::uint64_t seed = 123;
  int rank = 0, world = 1;
  std::int64_t batch = 1;       // pairs per rank
  std::int64_t accumulate = 1;  // batches per step: a global batch is batch*accumulate*world pairs
  int threads = 1, ahead = 4;   // decode threads, batches kept ready
  std::int64_t bad_record_budget = 16;
  double read_timeout_s = 60;
  Locality locality{};           // of the order
  std::filesystem::path staged;  // folder of homolog store stage; empty: none
  // StorePlace::cached_bytes: larger splits are read past the page cache.
  std::uint64_t cached_bytes = std::numeric_limits<std::uint64_t>::max();
};

// Stored order: [pair][z][y][x], LPS, HU - window_low as stored integers widened to int16.
struct PairBatch {
  at::Tensor query_BDHW, key_BDHW;  // int16, host (pinned where a GPU is)
  std::vector<std::uint64_t> ids;   // global pair indices
  Cursor next;                      // the cursor after this batch's step
};

struct StreamCounters {  // for the board
  std::uint64_t bytes_read = 0, bytes_decoded = 0, quarantined = 0, retries = 0;
  std::uint64_t copies_left = 0;  // staged shards that are no longer read, because a crop was bad
  std::int64_t queue_depth = 0, queue_capacity = 0;
};

class PairStream {
 public:
  // Throws Fault::Data: no store, other version, too few pairs for one global batch (says how
  // many).
  PairStream(PairStreamPlan plan, Cursor start);
  ~PairStream();
  // This rank's next local batch; `accumulate` of them make a step, and all of these carry the same
  // `next`, so that a cursor always stands between two optimiser steps. A pair that cannot be
  // read is replaced by one of the epoch's left-out tail (Partition::reserve).
  PairBatch next();  // blocks; throws Fault::Data on budget spent or read timeout
  std::int64_t steps_per_epoch()
      const;  // floor(pairs / global batch); the tail is another one each epoch
  std::int64_t pairs() const;
  std::array<std::int64_t, 3> crop_xyz() const;  // sides of the stored crops, margin included
  int margin() const;  // voxels on each side of a crop meant for random shifts
  int window_low_hu() const, window_high_hu() const;
  std::uint64_t store_hash() const;
  StreamCounters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace homolog::data

// Threads that fill batches ahead of their consumer, row by row, in order of need.
// Knows nothing of stores: one function opens a batch, another fills one of its rows.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "data/pair_stream.h"

namespace homolog::data {

class DecodePool {
 public:
  using Watch = std::atomic<std::int64_t>;
  struct Plan {
    int threads = 1, ahead = 4;  // threads, batches open at a time
    std::int64_t rows = 1;       // of a batch
    double timeout_s = 60;       // without any row finished
  };
  struct Work {
    std::function<PairBatch(std::uint64_t sequence)> open;  // called by one thread at a time
    // May set `watch` to what it reads. Runs in any thread; must keep alive what it captures.
    std::function<void(std::uint64_t sequence, std::int64_t row, PairBatch& batch, Watch& watch)>
        fill;
    std::function<std::string(std::int64_t watched)> describe;
  };

  DecodePool(Plan plan, Work work);
  ~DecodePool();  // waits for the threads, unless a read hangs: then they are left behind
  // Batches 0, 1, 2, ... Rethrows what `fill` threw for the batch due; throws Fault::Data after
  // timeout_s without a finished row, naming what the threads read.
  PairBatch next();
  std::int64_t ready() const;  // whole batches waiting

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace homolog::data

// Pairs that a few threads bring from the disk while others decode, past the page cache: a direct
// read costs hardly any processor time, but each waits for the disk, so several run at once.
#pragma once

#include <cstdint>
#include <memory>

#include "sharding/store/pair_store.h"

namespace homolog::data {

struct PackedPair {
  std::int64_t index = -1;  // in its PairStore
  store::PackedCrop query, key;
};

class ReadAhead {
 public:
  // `store` must outlive it.
  ReadAhead(const store::PairStore& store, int readers);
  ~ReadAhead();  // waits for the reads that run
  // `place` is where the pair stands in the stream: unlike its index it never comes twice.
  void expect(std::uint64_t place, std::int64_t index);
  // What was expected there, waiting while it is being read. nullptr: nothing was, its turn had not
  // come, or it could not be read; the caller reads it himself and learns why. Thread-safe.
  std::unique_ptr<PackedPair> take(std::uint64_t place);
  void give_back(std::unique_ptr<PackedPair> pair);  // its memory serves the next

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace homolog::data

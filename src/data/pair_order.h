// The order of an epoch's pairs: a permutation of [0, pairs) that depends on (seed, epoch) and the
// locality alone. Keyed Feistel networks with cycle walking: any position in O(1), no list in
// memory (P3).
#pragma once

#include <array>
#include <cstdint>

namespace homolog::data {

// A bijection of [0, size) that `key` and `tweak` choose.
class KeyedPermutation {
 public:
  // REQUIRES: size > 0.
  KeyedPermutation(std::uint64_t size, std::array<std::uint32_t, 2> key, std::uint64_t tweak);
  std::uint64_t at(std::uint64_t position) const noexcept;  // position < size

 private:
  static constexpr int kRounds = 10;
  std::uint64_t size_, tweak_;
  int half_bits_ = 1;
  std::array<std::uint32_t, 2> key_;
};

// How far apart in the store two pairs may lie that follow each other, for disks that dislike
// seeking: the store is cut into blocks of neighbouring pairs, these are shuffled, and so many of
// them at a time are mixed. Epochs cut at other places.
struct Locality {
  std::uint64_t block = 0;  // pairs; 0: the whole store is shuffled
  std::uint64_t mixed = 8;  // blocks; > 0
};

class PairOrder {
 public:
  // REQUIRES: pairs > 0.
  PairOrder(std::uint64_t pairs, std::uint64_t seed, std::uint64_t epoch,
            const Locality& locality = {});
  // The pair at `position` of the epoch; position < pairs. A bijection.
  std::uint64_t at(std::uint64_t position) const noexcept;
  std::uint64_t pairs() const noexcept { return pairs_; }

 private:
  std::uint64_t local(std::uint64_t position) const noexcept;

  std::uint64_t pairs_, epoch_, full_blocks_ = 0, first_ = 0;
  Locality locality_;
  std::array<std::uint32_t, 2> key_, window_key_;
  KeyedPermutation shuffle_;  // of pairs, or of blocks
};

// How an epoch is cut: global batch g takes positions [g*G, (g+1)*G), G = batch*accumulate*world;
// in it rank r takes a contiguous slice. What is left beyond the last whole batch waits for
// another epoch, whose permutation leaves out others.
struct Partition {
  std::int64_t pairs = 0, batch = 1, accumulate = 1;
  int rank = 0, world = 1;

  std::int64_t global_batch() const noexcept { return batch * accumulate * world; }
  std::int64_t steps() const noexcept { return pairs / global_batch(); }
  // Position of row `row` of this rank's micro batch `micro` in step `step`.
  std::int64_t position(std::int64_t step, std::int64_t micro, std::int64_t row) const noexcept {
    return step * global_batch() + (rank * accumulate + micro) * batch + row;
  }
  // Where a pair that cannot be read is replaced from: the left-out tail, else the epoch's start.
  std::int64_t reserve(std::int64_t position, std::int64_t attempt) const noexcept {
    const std::int64_t used = steps() * global_batch(), tail = pairs - used;
    if (tail > 0 && attempt < tail) return used + (position + attempt) % tail;
    return (position + 1 + attempt) % pairs;
  }
};

}  // namespace homolog::data

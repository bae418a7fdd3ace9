// The order of an epoch's pairs: a permutation of [0, pairs) that depends on (seed, epoch) alone.
// A keyed Feistel network with cycle walking: any position in O(1), no list in memory (P3).
#pragma once

#include <array>
#include <cstdint>

namespace homolog::data {

class PairOrder {
 public:
  // REQUIRES: pairs > 0.
  PairOrder(std::uint64_t pairs, std::uint64_t seed, std::uint64_t epoch);
  // The pair at `position` of the epoch; position < pairs. A bijection.
  std::uint64_t at(std::uint64_t position) const noexcept;
  std::uint64_t pairs() const noexcept { return pairs_; }

 private:
  static constexpr int kRounds = 10;
  std::uint64_t pairs_;
  int half_bits_ = 1;
  std::uint64_t epoch_;
  std::array<std::uint32_t, 2> key_;
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

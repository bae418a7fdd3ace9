// Feistel network over 2*half_bits bits, at most four times the range; values beyond it walk on.
// Round keys are Philox words of (key; half, round, tweak).
#include "data/pair_order.h"

#include <algorithm>

#include "base/counter_rng.h"
#include "base/hash.h"

namespace homolog::data {
namespace {

std::array<std::uint32_t, 2> key_of(std::string_view purpose, std::uint64_t seed) {
  const std::uint64_t key = xxh3_64(purpose, seed);
  return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
}

std::uint64_t full_blocks(std::uint64_t pairs, const Locality& locality) {
  return locality.block > 0 ? pairs / locality.block : 0;
}

}  // namespace

KeyedPermutation::KeyedPermutation(std::uint64_t size, std::array<std::uint32_t, 2> key,
                                   std::uint64_t tweak)
    : size_(size), tweak_(tweak), key_(key) {
  while ((std::uint64_t{1} << (2 * half_bits_)) < size_) ++half_bits_;
}

std::uint64_t KeyedPermutation::at(std::uint64_t position) const noexcept {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t value = position;
  do {
    std::uint64_t left = value >> half_bits_, right = value & mask;
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      const auto words =
          philox4x32({static_cast<std::uint32_t>(right), round, static_cast<std::uint32_t>(tweak_),
                      static_cast<std::uint32_t>(tweak_ >> 32)},
                     key_);
      const std::uint64_t next = (left ^ words[0]) & mask;
      left = right;
      right = next;
    }
    value = left << half_bits_ | right;
  } while (value >= size_);
  return value;
}

PairOrder::PairOrder(std::uint64_t pairs, std::uint64_t seed, std::uint64_t epoch,
                     const Locality& locality)
    : pairs_(pairs),
      epoch_(epoch),
      full_blocks_(full_blocks(pairs, locality)),
      locality_(locality),
      key_(key_of("pair-order", seed)),
      window_key_(key_of("pair-order-window", seed ^ epoch)),
      shuffle_(full_blocks_ > 0 ? full_blocks_ : pairs, key_, epoch) {
  // The blocks' bounds, and the short block that comes last, lie elsewhere in every epoch.
  if (full_blocks_ > 0) first_ = CounterRng(seed, "pair-order-first", epoch).below(pairs);
}

std::uint64_t PairOrder::at(std::uint64_t position) const noexcept {
  return full_blocks_ > 0 ? (local(position) + first_) % pairs_ : shuffle_.at(position);
}

// Windows of `mixed` blocks follow each other; within one, all its pairs are shuffled.
std::uint64_t PairOrder::local(std::uint64_t position) const noexcept {
  const std::uint64_t span = locality_.block * locality_.mixed, window = position / span;
  const std::uint64_t size = std::min(span, pairs_ - window * span);
  const std::uint64_t within = KeyedPermutation(size, window_key_, window).at(position % span);
  const std::uint64_t slot = window * locality_.mixed + within / locality_.block;
  const std::uint64_t block = slot < full_blocks_ ? shuffle_.at(slot) : full_blocks_;
  return block * locality_.block + within % locality_.block;
}

}  // namespace homolog::data

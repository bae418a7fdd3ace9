// Feistel network over 2*half_bits bits, at most four times the range; values beyond it walk on.
// Round keys are Philox words of (seed; epoch, round, half).
#include "data/pair_order.h"

#include "base/counter_rng.h"
#include "base/hash.h"

namespace homolog::data {

PairOrder::PairOrder(std::uint64_t pairs, std::uint64_t seed, std::uint64_t epoch)
    : pairs_(pairs), epoch_(epoch) {
  while ((std::uint64_t{1} << (2 * half_bits_)) < pairs_) ++half_bits_;
  const std::uint64_t key = xxh3_64("pair-order", seed);
  key_ = {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
}

std::uint64_t PairOrder::at(std::uint64_t position) const noexcept {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t value = position;
  do {
    std::uint64_t left = value >> half_bits_, right = value & mask;
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      const auto words =
          philox4x32({static_cast<std::uint32_t>(right), round, static_cast<std::uint32_t>(epoch_),
                      static_cast<std::uint32_t>(epoch_ >> 32)},
                     key_);
      const std::uint64_t next = (left ^ words[0]) & mask;
      left = right;
      right = next;
    }
    value = left << half_bits_ | right;
  } while (value >= pairs_);
  return value;
}

}  // namespace homolog::data

#include "base/counter_rng.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include "base/hash.h"

namespace homolog {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> c,
                                        std::array<std::uint32_t, 2> k) noexcept {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ull * c[0];
    const std::uint64_t p1 = 0xCD9E8D57ull * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

CounterRng::CounterRng(std::uint64_t seed, std::string_view purpose, std::uint64_t index)
    : index_(index) {
  const std::uint64_t key = xxh3_64(purpose, seed);
  key_ = {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
}

std::uint32_t CounterRng::u32() noexcept {
  if (used_ == 4) {
    words_ =
        philox4x32({static_cast<std::uint32_t>(block_), static_cast<std::uint32_t>(block_ >> 32),
                    static_cast<std::uint32_t>(index_), static_cast<std::uint32_t>(index_ >> 32)},
                   key_);
    ++block_;
    used_ = 0;
  }
  return words_[used_++];
}

std::uint64_t CounterRng::u64() noexcept {
  const std::uint64_t high = u32();
  return high << 32 | u32();
}

double CounterRng::uniform() noexcept { return static_cast<double>(u64() >> 11) * 0x1p-53; }

double CounterRng::uniform(double low, double high) noexcept {
  return low + (high - low) * uniform();
}

std::uint64_t CounterRng::below(std::uint64_t bound) noexcept {
  const std::uint64_t threshold = -bound % bound;  // rejects the part that would be biased
  for (;;) {
    const std::uint64_t draw = u64();
    if (draw >= threshold) return draw % bound;
  }
}

double CounterRng::normal() noexcept {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<std::int64_t> CounterRng::permutation(std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = n - 1; i > 0; --i) {
    std::swap(order[static_cast<std::size_t>(i)], order[below(static_cast<std::uint64_t>(i) + 1)]);
  }
  return order;
}

}  // namespace homolog

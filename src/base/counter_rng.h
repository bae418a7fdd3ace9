// Counter-based randomness (Philox 4x32-10, Salmon et al., SC 2011): a draw is a pure function of
// (seed, purpose, index, draw number), so neither rank, thread nor resume can change it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace homolog {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) noexcept;

class CounterRng {
 public:
  // `purpose` names the use ("mask", "augment", "order"); `index` the sample or step.
  CounterRng(std::uint64_t seed, std::string_view purpose, std::uint64_t index);

  std::uint32_t u32() noexcept;
  std::uint64_t u64() noexcept;
  double uniform() noexcept;                              // [0, 1)
  double uniform(double low, double high) noexcept;       // [low, high)
  std::uint64_t below(std::uint64_t bound) noexcept;      // [0, bound), unbiased; bound > 0
  double normal() noexcept;                               // mean 0, variance 1 (Box-Muller)
  std::vector<std::int64_t> permutation(std::int64_t n);  // of 0..n-1 (Fisher-Yates)

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t index_;
  std::uint64_t block_ = 0;
  std::array<std::uint32_t, 4> words_{};
  int used_ = 4;
};

}  // namespace homolog

// The two products that forward and backward are made of, on tiles small enough for registers.
#pragma once

#include "model/attention/panels.h"

namespace homolog::model::attention {
namespace {

// Rows of scores in one tile; tokens are padded to a multiple. Accumulators fill a half of the
// registers of 16 lanes, of which there are 32, and of the 16 narrower ones.
template <int L>
constexpr int kTile = L == 16 ? 8 : 4;
// Scores at a time, so that they stay in the first cache: a multiple of every panel.
constexpr int kKeysAtOnce = 64;

// What is in memory may have changed: inside a loop this stops compilers from moving loads out of
// it, to registers that are not there.
HOMOLOG_INLINE void forget_memory() { asm volatile("" ::: "memory"); }

// What scores start from: bias and mask of `kTile` rows of a panel.
template <int L, bool Masked>
HOMOLOG_INLINE void start_scores(const Problem& p, const float* bias, const std::uint32_t* bits,
                                 Pair<L> (&score)[kTile<L>]) {
#pragma GCC unroll 8
  for (int r = 0; r < kTile<L>; ++r) {
    score[r] = Pair<L>::read(bias + r * 2 * L);
    if constexpr (Masked) score[r] = score[r] + masked<L>(bits[r], p.mask.value);
  }
}

// score[r] += sum over channels of rows (row, channel) times panel (channel, lane).
template <int L, int D>
HOMOLOG_INLINE void add_scores(const float* rows, const float* panel, Pair<L> (&score)[kTile<L>]) {
#pragma GCC unroll 8
  for (int c = 0; c < D; ++c) {
    const Pair<L> x = Pair<L>::read(panel + c * 2 * L);
#pragma GCC unroll 8
    for (int r = 0; r < kTile<L>; ++r) score[r].add_product(x, splat<L>(rows[r * D + c]));
  }
}

// sum (channel, lane) = sum * keep + sum over rows of rows (row, channel) times weight (row, lane),
// whose rows are `step` apart. The new part is summed by itself: the fewer addends in a row, the
// less rounding, and what cancels over keys is left to rounding alone.
template <int L, int D, class Keep>
HOMOLOG_INLINE void add_weighted(const float* rows, const float* weight, int step, int count,
                                 Keep keep, float* sum) {
  constexpr int kChannels = kTile<L>;
  for (int first = 0; first < D; first += kChannels) {
    Pair<L> acc[kChannels] = {};
    for (int j = 0; j < count; ++j) {
      const Pair<L> w = Pair<L>::read(weight + j * step);
#pragma GCC unroll 8
      for (int c = 0; c < kChannels; ++c) acc[c].add_product(w, splat<L>(rows[j * D + first + c]));
    }
#pragma GCC unroll 8
    for (int c = 0; c < kChannels; ++c) {
      float* to = sum + (first + c) * 2 * L;
      (keep(Pair<L>::read(to)) + acc[c]).write(to);
    }
  }
}

}  // namespace
}  // namespace homolog::model::attention

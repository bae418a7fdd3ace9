// Forward: a panel of queries in lanes, keys one by one, 64 at a time with an online softmax.
#pragma once

#include "model/attention/tiles.h"

namespace homolog::model::attention {
namespace {

template <int D>
std::size_t forward_scratch(const Problem& p) {
  return std::size_t{5} * static_cast<std::size_t>(p.padded) * D;
}

// Largest score and sum of a panel's queries so far.
template <int L>
struct Softmax {
  Pair<L> top = Pair<L>::of(-1e30F), sum = Pair<L>::of(0);
};

// Scores of `count` keys with the panel's queries -> score (key, lane), and the largest so far.
template <int L, int D, bool Masked>
HOMOLOG_INLINE Pair<L> scores(const Problem& p, const float* q_panel, const float* k_rows,
                              const float* bias, const std::uint32_t* bits, int count, Pair<L> top,
                              float* score) {
  constexpr int kRows = kTile<L>, kPanel = 2 * L;
  for (int j = 0; j < count; j += kRows) {
    forget_memory();
    Pair<L> s[kRows];
    start_scores<L, Masked>(p, bias + j * kPanel, Masked ? bits + j : nullptr, s);
    add_scores<L, D>(k_rows + j * D, q_panel, s);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      top = larger<L>(top, s[r]);
      s[r].write(score + (j + r) * kPanel);
    }
  }
  return top;
}

// One panel of queries with all keys of a window: (D, lane) of v's weighted mean -> out_panel.
template <int L, int D, bool Masked>
HOMOLOG_INLINE Softmax<L> attend(const Problem& p, const float* q_panel, const float* k_rows,
                                 const float* v_rows, const float* bias, const std::uint32_t* bits,
                                 float* out_panel) {
  constexpr int kPanel = 2 * L;
  alignas(64) float score[kKeysAtOnce * kPanel];
  const Exp2<L> exp2(p.exp2);
  Softmax<L> at;
  fill(out_panel, D * kPanel, 0);
  for (int first = 0; first < p.padded; first += kKeysAtOnce) {
    const int count = p.padded - first < kKeysAtOnce ? p.padded - first : kKeysAtOnce;
    const Pair<L> top = scores<L, D, Masked>(p, q_panel, k_rows + first * D, bias + first * kPanel,
                                             Masked ? bits + first : nullptr, count, at.top, score);
    const Pair<L> keep = exp2(at.top - top);
    Pair<L> sum = Pair<L>::of(0);
    for (int j = 0; j < count; ++j) {
      const Pair<L> e = exp2(Pair<L>::read(score + j * kPanel) - top);
      sum = sum + e;
      e.write(score + j * kPanel);
    }
    at = {top, at.sum * keep + sum};
    add_weighted<L, D>(
        v_rows + first * D, score, kPanel, count, [&](Pair<L> x) { return x * keep; }, out_panel);
  }
  for (int c = 0; c < D; ++c) {
    const Pair<L> sum = Pair<L>::read(out_panel + c * kPanel);
    Pair<L>{sum.a / at.sum.a, sum.b / at.sum.b}.write(out_panel + c * kPanel);
  }
  return at;
}

template <int L, int D>
void forward_window(const Problem& p, int window, int head, float* scratch) {
  constexpr int kPanel = 2 * L;
  const int size = p.padded * D, panels = p.padded / kPanel;
  float *k_rows = scratch, *v_rows = k_rows + size, *q_panels = v_rows + size,
        *out_panels = q_panels + size, *rows = out_panels + size;
  read_rows<D>(p, p.k, window, head, k_rows);
  read_rows<D>(p, p.v, window, head, v_rows);
  read_rows<D>(p, p.q, window, head, rows);
  to_panels<L, D>(rows, p.padded, p.scale, q_panels);
  const int mask = p.mask.windows > 0 ? window % p.mask.windows : 0;
  const bool masks = p.mask.windows > 0 && p.mask.any[mask] != 0;
  for (int panel = 0; panel < panels; ++panel) {
    const float* bias =
        p.bias_of_queries + (std::int64_t{head} * panels + panel) * p.padded * kPanel;
    const float* q = q_panels + panel * kPanel * D;
    float* out = out_panels + panel * kPanel * D;
    Softmax<L> softmax;
    if (masks) {
      const std::uint32_t* bits =
          p.mask.of_queries + (std::int64_t{mask} * panels + panel) * p.padded;
      softmax = attend<L, D, true>(p, q, k_rows, v_rows, bias, bits, out);
    } else {
      softmax = attend<L, D, false>(p, q, k_rows, v_rows, bias, nullptr, out);
    }
    if (p.softmax != nullptr) {
      float* to =
          p.softmax + (std::int64_t{window} * p.heads + head) * 2 * p.padded + panel * kPanel;
      softmax.top.write(to);
      softmax.sum.write(to + p.padded);
    }
  }
  from_panels<L, D>(out_panels, p.padded, 1, rows);
  write_rows<D>(p, rows, window, head, p.out);
}

}  // namespace
}  // namespace homolog::model::attention

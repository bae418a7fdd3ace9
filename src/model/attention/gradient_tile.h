// Backward of one tile of queries and keys. Probabilities come again from the scores and from the
// softmax that forward kept: e = exp(score - top), p = e / sum. With g = do / sum and
// delta = sum over channels of g * out:
//   dv = e^T g,  ds = e (g v^T - delta),  dbias = ds,  dq = scale ds k,  dk = scale ds^T q.
#pragma once

#include "model/attention/tiles.h"

namespace homolog::model::attention {
namespace {

constexpr int kQueriesAtOnce = 16;

// The gradient of q has channels in lanes. Where a key's channels do not fill whole vectors, keys
// come in twos, channel by channel, and so do the sums until the end.
template <int L, int D>
constexpr int kKeysInRow = D % L == 0 ? 1 : 2;

// Where a tile's e and ds go, both (query, key) with rows of kKeysAtOnce, and what it starts from.
struct GradientTile {
  float *e, *ds;
  const float *q_rows, *g_rows;  // (query, D): q times scale, and g
  const float *top, *delta;      // (query)
  int queries;
};

// A panel of keys, and its part of a window's (query, lane) tables from the tile's first query on.
struct KeyPanel {
  const float *k, *v;  // (D, lane)
  const float* bias;
  const std::uint32_t* bits;
  float *k_gradient, *v_gradient;  // (D, lane), sums
  float* bias_gradient;
};

template <int L, int D, bool Masked>
HOMOLOG_INLINE void score_gradients(const Problem& p, const KeyPanel& keys, const GradientTile& t) {
  constexpr int kRows = kTile<L>, kPanel = 2 * L;
  for (int i = 0; i < t.queries; i += kRows) {
    forget_memory();
    Pair<L> s[kRows];
    start_scores<L, Masked>(p, keys.bias + i * kPanel, Masked ? keys.bits + i : nullptr, s);
    add_scores<L, D>(t.q_rows + i * D, keys.k, s);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) s[r].write(t.e + (i + r) * kKeysAtOnce);
  }
  const Exp2<L> exp2(p.exp2);
  for (int i = 0; i < t.queries; ++i) {
    float* e = t.e + i * kKeysAtOnce;
    exp2(Pair<L>::read(e) - Pair<L>::of(t.top[i])).write(e);
  }
  for (int i = 0; i < t.queries; i += kRows) {
    forget_memory();
    Pair<L> g[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) g[r] = Pair<L>::of(-t.delta[i + r]);
    add_scores<L, D>(t.g_rows + i * D, keys.v, g);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Pair<L> ds = g[r] * Pair<L>::read(t.e + (i + r) * kKeysAtOnce);
      ds.write(t.ds + (i + r) * kKeysAtOnce);
      float* bias = keys.bias_gradient + (i + r) * kPanel;
      (Pair<L>::read(bias) + ds).write(bias);
    }
  }
}

template <int L, int D, bool Masked>
HOMOLOG_INLINE void key_gradients(const Problem& p, const KeyPanel& keys, const GradientTile& t) {
  score_gradients<L, D, Masked>(p, keys, t);
  const auto all = [](Pair<L> x) { return x; };
  add_weighted<L, D>(t.g_rows, t.e, kKeysAtOnce, t.queries, all, keys.v_gradient);
  add_weighted<L, D>(t.q_rows, t.ds, kKeysAtOnce, t.queries, all, keys.k_gradient);
}

// q_gradient (query, channel of the key or keys in a row) += ds times k_rows, over `keys` keys.
template <int L, int D>
HOMOLOG_INLINE void query_gradients(const GradientTile& t, const float* k_rows, int keys,
                                    float* q_gradient) {
  constexpr int kInRow = kKeysInRow<L, D>, kVectors = D * kInRow / L;
  constexpr int kWide = kVectors % 2 == 0 ? 2 : 1, kQueries = 8 / kWide;
  for (int i = 0; i < t.queries; i += kQueries) {
    for (int first = 0; first < kVectors; first += kWide) {
      float* sum = q_gradient + (i * kVectors + first) * L;
      Float<L> acc[kQueries][kWide] = {};
      for (int j = 0; j < keys; j += kInRow) {
        const float* k = k_rows + (j / kInRow * kVectors + first) * L;
#pragma GCC unroll 8
        for (int r = 0; r < kQueries; ++r) {
          const float* ds = t.ds + (i + r) * kKeysAtOnce + j;
          const Float<L> x = kInRow == 2 ? splat_two<L>(ds) : splat<L>(*ds);
#pragma GCC unroll 2
          for (int v = 0; v < kWide; ++v) acc[r][v] += load<L>(k + v * L) * x;
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < kQueries; ++r) {
#pragma GCC unroll 2
        for (int v = 0; v < kWide; ++v) {
          float* to = sum + (r * kVectors + v) * L;
          store<L>(to, load<L>(to) + acc[r][v]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace homolog::model::attention

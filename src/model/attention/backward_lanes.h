// Backward of one window and head: a panel of keys in lanes, queries one by one.
#pragma once

#include "model/attention/gradient_tile.h"

namespace homolog::model::attention {
namespace {

template <int L, int D>
constexpr int kQueryRow = D* kKeysInRow<L, D>;  // floats of a query in the gradient's sums

// Scratch of one window and head; all but the last two have `padded` rows of D, or kQueryRow.
struct BackwardRows {
  float *k_panels, *v_panels, *k_gradient, *v_gradient;  // (panel, D, lane)
  float *q_rows, *g_rows, *k_rows, *q_gradient;
  float *top, *delta;  // (padded)
};

template <int L, int D>
HOMOLOG_INLINE BackwardRows backward_rows(float* scratch, int padded) {
  const int size = padded * D;
  const auto at = [&](int place) { return scratch + place * size; };
  float* ends = at(7) + padded * kQueryRow<L, D>;
  return {at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), ends, ends + padded};
}

template <int L, int D>
std::size_t backward_scratch(const Problem& p) {
  return static_cast<std::size_t>(p.padded) * (7 * D + kQueryRow<L, D> + 2);
}

// g, delta and top; `rows` (padded, D) is overwritten.
template <int D>
HOMOLOG_INLINE void read_output(const Problem& p, int window, int head, float* rows,
                                const BackwardRows& b) {
  const float* softmax = p.softmax + (std::int64_t{window} * p.heads + head) * 2 * p.padded;
  read_rows<D>(p, p.out_gradient, window, head, b.g_rows);
  read_rows<D>(p, p.out, window, head, rows);
  for (int i = 0; i < p.padded; i += 4) {
    for (int r = i; r < i + 4; ++r) {
      const float part = 1.0F / softmax[p.padded + r];
      for (int c = 0; c < D; ++c) b.g_rows[r * D + c] *= part;
      b.top[r] = softmax[r];
    }
    Float<4> sum{};
    for (int c = 0; c < D; c += 4) {
      Float<4> x[4];
      for (int r = 0; r < 4; ++r)
        x[r] = load<4>(b.g_rows + (i + r) * D + c) * load<4>(rows + (i + r) * D + c);
      turn(x);
      sum += (x[0] + x[1]) + (x[2] + x[3]);
    }
    store<4>(b.delta + i, sum);
  }
}

template <int L, int D>
HOMOLOG_INLINE void read_window(const Problem& p, int window, int head, const BackwardRows& b) {
  constexpr int kInRow = kKeysInRow<L, D>;
  float* rows = b.q_gradient;  // free until the sums start
  read_rows<D>(p, p.v, window, head, rows);
  to_panels<L, D>(rows, p.padded, 1, b.v_panels);
  read_output<D>(p, window, head, rows, b);
  read_rows<D>(p, p.q, window, head, b.q_rows);
  for (int i = 0; i < p.padded * D; ++i) b.q_rows[i] *= p.scale;
  read_rows<D>(p, p.k, window, head, rows);
  to_panels<L, D>(rows, p.padded, 1, b.k_panels);
  for (int j = 0; j < p.padded; j += kInRow) {
    for (int c = 0; c < D; ++c) {
      for (int t = 0; t < kInRow; ++t) b.k_rows[j * D + c * kInRow + t] = rows[(j + t) * D + c];
    }
  }
  fill(b.k_gradient, 2 * p.padded * D, 0);
  fill(b.q_gradient, p.padded * kQueryRow<L, D>, 0);
}

template <int L, int D, bool Masked>
void gradients(const Problem& p, int head, const BackwardRows& b, const std::uint32_t* bits,
               float* bias_gradient) {
  constexpr int kPanel = 2 * L;
  alignas(64) float e[kQueriesAtOnce * kKeysAtOnce], ds[kQueriesAtOnce * kKeysAtOnce];
  const float* bias = p.bias_of_keys + std::int64_t{head} * p.padded * p.padded;
  for (int key = 0; key < p.padded; key += kKeysAtOnce) {
    const int keys = p.padded - key < kKeysAtOnce ? p.padded - key : kKeysAtOnce;
    for (int i = 0; i < p.padded; i += kQueriesAtOnce) {
      GradientTile tile{e,
                        ds,
                        b.q_rows + i * D,
                        b.g_rows + i * D,
                        b.top + i,
                        b.delta + i,
                        p.padded - i < kQueriesAtOnce ? p.padded - i : kQueriesAtOnce};
      for (int first = key; first < key + keys; first += kPanel) {
        const int row = first / kPanel * p.padded + i;  // of (panel, query) tables
        tile.e = e + (first - key);
        tile.ds = ds + (first - key);
        key_gradients<L, D, Masked>(
            p,
            {b.k_panels + first * D, b.v_panels + first * D, bias + row * kPanel,
             Masked ? bits + row : nullptr, b.k_gradient + first * D, b.v_gradient + first * D,
             bias_gradient + row * kPanel},
            tile);
      }
      tile.ds = ds;
      query_gradients<L, D>(tile, b.k_rows + key * D, keys, b.q_gradient + i * kQueryRow<L, D>);
    }
  }
}

}  // namespace
}  // namespace homolog::model::attention

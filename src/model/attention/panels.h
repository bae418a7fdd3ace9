// Rows of channels to panels and back: (token, channel) <-> (panel, channel, lane). D: channels of
// the rows in scratch, at least those of the tensors; what is beyond is zero.
#pragma once

#include "model/attention/lanes.h"

namespace homolog::model::attention {
namespace {

HOMOLOG_INLINE void fill(float* to, int count, float x) {
  for (int i = 0; i < count; ++i) to[i] = x;
}

// Rows of one window and head -> (padded, D).
template <int D, class T>
HOMOLOG_INLINE void read_rows(const Problem& p, const Rows<T>& rows, int window, int head,
                              float* to) {
  const float* from = rows.data + window * rows.window + head * rows.head;
  for (int i = 0; i < p.tokens; ++i, from += rows.token, to += D) {
    if (p.channels == D) {
      __builtin_memcpy(to, from, sizeof(float) * D);
    } else {
      for (int c = 0; c < D; ++c) to[c] = c < p.channels ? from[c] : 0.0F;
    }
  }
  fill(to, (p.padded - p.tokens) * D, 0);
}

template <int D>
HOMOLOG_INLINE void write_rows(const Problem& p, const float* from, int window, int head,
                               const Rows<float>& rows) {
  float* to = rows.data + window * rows.window + head * rows.head;
  for (int i = 0; i < p.tokens; ++i, from += D, to += rows.token) {
    if (p.channels == D) {
      __builtin_memcpy(to, from, sizeof(float) * D);
    } else {
      for (int c = 0; c < p.channels; ++c) to[c] = from[c];
    }
  }
}

HOMOLOG_INLINE void turn(Float<4> (&x)[4]) {
  const Float<4> ab0 = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5),
                 ab1 = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7),
                 cd0 = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5),
                 cd1 = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
  x[0] = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
  x[1] = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
  x[2] = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
  x[3] = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
}

// (rows, columns) -> (columns, rows) times factor; both counts are multiples of 4.
HOMOLOG_INLINE void transpose(const float* from, std::int64_t from_step, int rows, int columns,
                              float factor, float* to, std::int64_t to_step) {
  for (int r = 0; r < rows; r += 4) {
    for (int c = 0; c < columns; c += 4) {
      Float<4> x[4];
      for (int i = 0; i < 4; ++i) x[i] = load<4>(from + (r + i) * from_step + c) * factor;
      turn(x);
      for (int i = 0; i < 4; ++i) store<4>(to + (c + i) * to_step + r, x[i]);
    }
  }
}

// (padded, D) -> (panel, D, lane), and back.
template <int L, int D>
HOMOLOG_INLINE void to_panels(const float* from, int padded, float factor, float* to) {
  for (int first = 0; first < padded; first += 2 * L) {
    transpose(from + first * D, D, 2 * L, D, factor, to + first * D, 2 * L);
  }
}
template <int L, int D>
HOMOLOG_INLINE void from_panels(const float* from, int padded, float factor, float* to) {
  for (int first = 0; first < padded; first += 2 * L) {
    transpose(from + first * D, 2 * L, D, 2 * L, factor, to + first * D, D);
  }
}

// See Kernel::panels_of_bias.
template <int L>
void panels_of_bias(const float* bias_NN, int tokens, bool of_queries, float* to) {
  constexpr int kPanel = 2 * L;
  constexpr float kLog2e = 1.44269504088896F, kNothing = -1e30F;
  const int padded = (tokens + kPanel - 1) / kPanel * kPanel, whole = tokens / 4 * 4;
  for (int first = 0; first < padded; first += kPanel, to += padded * kPanel) {
    int done = 0;  // rows of the panel written fast
    if (first + kPanel <= tokens) {
      done = of_queries ? whole : tokens;
      if (of_queries) {
        transpose(bias_NN + std::int64_t{first} * tokens, tokens, kPanel, whole, kLog2e, to,
                  kPanel);
      } else {
        for (int i = 0; i < tokens; ++i) {
          for (int l = 0; l < kPanel; ++l)
            to[i * kPanel + l] = bias_NN[std::int64_t{i} * tokens + first + l] * kLog2e;
        }
      }
    }
    for (int row = done; row < padded; ++row) {
      for (int l = 0; l < kPanel; ++l) {
        const int query = of_queries ? first + l : row, key = of_queries ? row : first + l;
        to[row * kPanel + l] = key >= tokens ? kNothing
                               : query >= tokens
                                   ? 0.0F
                                   : bias_NN[std::int64_t{query} * tokens + key] * kLog2e;
      }
    }
  }
}

}  // namespace
}  // namespace homolog::model::attention

// What forward and backward in bfloat16 share: a warp holds 16 rows (queries, or keys) in
// registers, a block of 4 warps reads 64 columns at a time from shared memory.
#pragma once

#include "base/bf16_pair.cuh"
#include "model/attention/device_rows.cuh"
#include "model/attention/tensor_core.cuh"

namespace homolog {
namespace model {
namespace attention {

using Bf16Problem = DeviceProblem<Bf16>;

constexpr int kWarps = 4, kBlock = 32 * kWarps, kTile = 64;
constexpr float kLog2E = 1.44269504f;

// Pairs of bfloat16, `Rows` rows of 2 * Pairs numbers. Four pairs more keep the 32 threads of a
// fragment in different banks of shared memory.
template <int Rows, int Pairs>
struct Tile {
  unsigned pair[Rows][Pairs + 4];
};
template <int D>
using TokenTile = Tile<kTile, D / 2>;  // a row a token, pairs of channels
template <int D>
using ChannelTile = Tile<D, kTile / 2>;  // a row a channel, pairs of tokens

// Place of a thread in fragments (fragments.cuh).
struct Lane {
  int g, t;
};

__device__ inline Lane lane_here() {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  return {lane / 4, lane % 4};
}

// Tiles of 64 rows of a window follow each other, so that what they read is still in the cache.
__device__ inline int tiles_of(const Bf16Problem& p) { return (p.tokens + kTile - 1) / kTile; }

__device__ inline Place place_here(const Bf16Problem& p) {
  const int pair = static_cast<int>(blockIdx.x) / tiles_of(p);
  return place_of(p, pair / p.heads, pair % p.heads);
}

// First of the 16 rows that this warp has, of tile `tile`.
__device__ inline int first_row(int tile) {
  return tile * kTile + static_cast<int>(threadIdx.x) / 32 * 16;
}
__device__ inline int first_row_here(const Bf16Problem& p) {
  return first_row(static_cast<int>(blockIdx.x) % tiles_of(p));
}

// Row and column within a fragment of its i-th sum.
__device__ inline int row_of(const Lane& lane, int i) { return lane.g + 8 * (i / 2); }
__device__ inline int column_of(const Lane& lane, int i) { return 2 * lane.t + i % 2; }

// Two channels of a token; zero beyond tokens and channels.
template <class T>
__device__ unsigned channels_of(const Bf16Problem& p, const DeviceRows<T>& rows, const Place& at,
                                int token, int pair) {
  if (token >= p.tokens || 2 * pair >= p.channels) return 0;
  return reinterpret_cast<const unsigned*>(row(rows, at, token))[pair];
}

// 64 tokens from `first` on into shared memory, as rows of tokens, of channels, or both.
template <int D>
__device__ void stage(const Bf16Problem& p, const DeviceRows<const Bf16>& rows, const Place& at,
                      int first, TokenTile<D>* tokens, ChannelTile<D>* channels) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile / 2 * (D / 2); i += kBlock) {
    const int two = i / (D / 2), c = i % (D / 2);
    const unsigned a = channels_of(p, rows, at, first + 2 * two, c),
                   b = channels_of(p, rows, at, first + 2 * two + 1, c);
    if (tokens != nullptr) {
      tokens->pair[2 * two][c] = a;
      tokens->pair[2 * two + 1][c] = b;
    }
    if (channels != nullptr) {
      channels->pair[2 * c][two] = (a & 0xFFFFu) | b << 16;
      channels->pair[2 * c + 1][two] = a >> 16 | (b & 0xFFFF0000u);
    }
  }
}

// 16 tokens from `first` on in registers, 16 channels a fragment.
template <int D>
__device__ void read(const Bf16Problem& p, const DeviceRows<const Bf16>& rows, const Place& at,
                     int first, Rows16 (&to)[D / 16]) {
  const Lane lane = lane_here();
#pragma unroll
  for (int step = 0; step < D / 16; ++step) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      to[step].pair[i] =
          channels_of(p, rows, at, first + lane.g + 8 * (i % 2), 8 * step + lane.t + 4 * (i / 2));
  }
}

template <int Rows, int Pairs>
__device__ Columns8 columns(const Tile<Rows, Pairs>& tile, int row, int pair) {
  const Lane lane = lane_here();
  return {{tile.pair[row + lane.g][pair + lane.t], tile.pair[row + lane.g][pair + lane.t + 4]}};
}

// Products of 16 rows with 8 tokens of a tile, from `token` on, over the channels, added to sums.
template <int D>
__device__ void add_products(const Rows16 (&rows)[D / 16], const TokenTile<D>& tile, int token,
                             Sums16x8& sums) {
#pragma unroll
  for (int step = 0; step < D / 16; ++step)
    multiply(rows[step], columns(tile, token, 8 * step), sums);
}

// What is added to scores, in units of their products, which are added next: of 16 rows from `row`
// on with 8 * Count columns from `column` on. Rows are queries and columns keys, or the other way
// round. All reads are issued before one is waited for; beyond the tokens the last one's are read.
template <bool RowsAreKeys, int Count>
__device__ void start_scores(const Bf16Problem& p, const Place& at, int row, int column,
                             Sums16x8 (&sums)[Count]) {
  const Lane lane = lane_here();
  const int n = p.tokens;
  const float to_products = 1 / p.scale;
  const auto at_score = [&](int j, int i) {
    const int a = min(row + row_of(lane, i), n - 1),
              b = min(column + 8 * j + column_of(lane, i), n - 1);
    return RowsAreKeys ? b * n + a : a * n + b;
  };
#pragma unroll
  for (int j = 0; j < Count; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[j].at[i] = __ldg(at.bias + at_score(j, i)) * to_products;
  }
  if (at.mask == nullptr) return;
#pragma unroll
  for (int j = 0; j < Count; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      sums[j].at[i] += static_cast<float>(__ldg(at.mask + at_score(j, i))) * to_products;
  }
}

// sums (16 rows, channels) += weights (16 rows, 16 tokens) x tokens `token`... of a tile.
template <int D>
__device__ void add_weighted(const Sums16x8 (&weights)[2], const ChannelTile<D>& tile, int token,
                             Sums16x8 (&sums)[D / 8]) {
  const Rows16 rows = {{bf16_pair(weights[0].at[0], weights[0].at[1]),
                        bf16_pair(weights[0].at[2], weights[0].at[3]),
                        bf16_pair(weights[1].at[0], weights[1].at[1]),
                        bf16_pair(weights[1].at[2], weights[1].at[3])}};
#pragma unroll
  for (int c = 0; c < D / 8; ++c) multiply(rows, columns(tile, 8 * c, token / 2), sums[c]);
}

// factor[i] * the warp's 16 rows, from token `first` on, i = 0 for the first 8.
template <int D>
__device__ void write(const Bf16Problem& p, const Sums16x8 (&sums)[D / 8], const float (&factor)[2],
                      const Place& at, int first, const DeviceRows<Bf16>& to) {
  const Lane lane = lane_here();
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int token = first + lane.g + 8 * half;
    if (token >= p.tokens) continue;
    unsigned* pairs = reinterpret_cast<unsigned*>(row(to, at, token));
#pragma unroll
    for (int c = 0; c < D / 8; ++c) {
      if (8 * c + 2 * lane.t < p.channels)
        pairs[4 * c + lane.t] =
            bf16_pair(sums[c].at[2 * half] * factor[half], sums[c].at[2 * half + 1] * factor[half]);
    }
  }
}

// Over the four threads that hold a row between them.
__device__ inline float sum_of_row(float x) {
  x += __shfl_xor_sync(0xFFFFFFFFu, x, 1);
  return x + __shfl_xor_sync(0xFFFFFFFFu, x, 2);
}
__device__ inline float largest_of_row(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xFFFFFFFFu, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xFFFFFFFFu, x, 2));
}

inline dim3 blocks_of(const Bf16Problem& p) {
  const int tiles = (p.tokens + kTile - 1) / kTile;
  return dim3(static_cast<unsigned>(p.windows * p.heads * tiles));
}

}  // namespace attention
}  // namespace model
}  // namespace homolog

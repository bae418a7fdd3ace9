// Backward in bfloat16, with P = exp(score - log of the sum), dS = P (dO v - delta), delta = dO
// out: one kernel for queries (dq = dS k), one for keys (dk = dS^T q, dv = P^T dO, and the bias by
// atomic additions, as neighbouring threads hold neighbouring keys), and where runs must repeat one
// for the bias. Scores are computed in each, which costs less than keeping them.
#include <cuda_runtime.h>

#include "base/cuda_launch.cuh"
#include "model/attention/bf16_tiles.cuh"

namespace homolog {
namespace model {
namespace attention {
namespace {

__device__ inline float weight_of(const Bf16Problem& p, float product, float log_sum) {
  return exp2f((product * p.scale - log_sum) * kLog2E);
}

// The warp's 16 queries: what one needs of a query to take its gradients.
template <int D>
struct Queries {
  Rows16 q[D / 16], gradient[D / 16];
  float log_sum[2], delta[2];
};

// All four threads of a row call it together.
template <int D>
__device__ float delta_of(const Bf16Problem& p, const Place& at, int query) {
  const Lane lane = lane_here();
  float sum = 0;
#pragma unroll
  for (int pair = lane.t; pair < D / 2; pair += 4) {
    const unsigned gradient = channels_of(p, p.out_gradient, at, query, pair),
                   out = channels_of(p, p.out, at, query, pair);
    sum += low_of(gradient) * low_of(out) + high_of(gradient) * high_of(out);
  }
  return sum_of_row(sum);
}

template <int D>
__device__ Queries<D> read_queries(const Bf16Problem& p, const Place& at, int first) {
  const Lane lane = lane_here();
  Queries<D> queries;
  read<D>(p, p.q, at, first, queries.q);
  read<D>(p, p.out_gradient, at, first, queries.gradient);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int query = first + lane.g + 8 * half;
    queries.log_sum[half] = query < p.tokens ? log_sums(p, at)[query] : 0;
    queries.delta[half] = delta_of<D>(p, at, query);
  }
  return queries;
}

// dS of the warp's queries, from `query` on, with 16 keys of the tiles from `token` on, `key` of
// all. 0 beyond the keys; beyond the queries, whose rows nobody reads, anything.
template <int D>
__device__ void score_gradients(const Bf16Problem& p, const Place& at, const Queries<D>& queries,
                                int query, const TokenTile<D>& k, const TokenTile<D>& v, int token,
                                int key, Sums16x8 (&ds)[2]) {
  const Lane lane = lane_here();
  Sums16x8 product[2], of_weight[2] = {};
  start_scores<false>(p, at, query, key, product);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    add_products<D>(queries.q, k, token + 8 * half, product[half]);
    add_products<D>(queries.gradient, v, token + 8 * half, of_weight[half]);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool is_key = key + 8 * half + column_of(lane, i) < p.tokens;
      const float weight = weight_of(p, product[half].at[i], queries.log_sum[i / 2]);
      ds[half].at[i] = is_key ? weight * (of_weight[half].at[i] - queries.delta[i / 2]) : 0;
    }
  }
}

// Leaves delta for the kernels after it.
template <int D>
__global__ void __launch_bounds__(kBlock) query_kernel(Bf16Problem p) {
  __shared__ TokenTile<D> k, v;
  __shared__ ChannelTile<D> k_channels;
  const Place at = place_here(p);
  const Lane lane = lane_here();
  const int first_query = first_row_here(p);
  const Queries<D> queries = read_queries<D>(p, at, first_query);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int query = first_query + lane.g + 8 * half;
    if (lane.t == 0 && query < p.tokens) deltas(p, at)[query] = queries.delta[half];
  }
  Sums16x8 dq[D / 8] = {};
  for (int first = 0; first < p.tokens; first += kTile) {
    __syncthreads();
    stage<D>(p, p.k, at, first, &k, &k_channels);
    stage<D>(p, p.v, at, first, &v, nullptr);
    __syncthreads();
    for (int token = 0; token < kTile; token += 16) {
      Sums16x8 ds[2];
      score_gradients<D>(p, at, queries, first_query, k, v, token, first + token, ds);
      add_weighted<D>(ds, k_channels, token, dq);
    }
  }
  write<D>(p, dq, {p.scale, p.scale}, at, first_query, p.q_gradient);
}

// 64 queries, as the rows of keys need them.
template <int D>
struct QueryTile {
  TokenTile<D> q, gradient;
  ChannelTile<D> q_channels, gradient_channels;
  float log_sum[kTile], delta[kTile];
};

template <int D>
__device__ void stage(const Bf16Problem& p, const Place& at, int first, QueryTile<D>& tile) {
  stage<D>(p, p.q, at, first, &tile.q, &tile.q_channels);
  stage<D>(p, p.out_gradient, at, first, &tile.gradient, &tile.gradient_channels);
  const int i = static_cast<int>(threadIdx.x);
  if (i >= kTile) return;
  const bool is_query = first + i < p.tokens;
  tile.log_sum[i] = is_query ? log_sums(p, at)[first + i] : 0;
  tile.delta[i] = is_query ? deltas(p, at)[first + i] : 0;
}

// The warp's 16 keys, from `first` on.
template <int D>
struct Keys {
  int first;
  Rows16 k[D / 16], v[D / 16];
};

// P and dS, turned: 16 keys with 16 queries.
struct Turned {
  Sums16x8 weight[2] = {}, ds[2] = {};
};

// Of the warp's keys with the tile's queries from `token` on, `query` of all. 0 beyond the queries;
// beyond the keys, whose rows nobody reads, anything.
template <int D>
__device__ Turned turned(const Bf16Problem& p, const Place& at, const Keys<D>& keys,
                         const QueryTile<D>& tile, int token, int query) {
  const Lane lane = lane_here();
  Turned t;
  start_scores<true>(p, at, keys.first, query, t.weight);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    add_products<D>(keys.k, tile.q, token + 8 * half, t.weight[half]);
    add_products<D>(keys.v, tile.gradient, token + 8 * half, t.ds[half]);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int column = 8 * half + column_of(lane, i);
      float& weight = t.weight[half].at[i];
      weight = query + column < p.tokens ? weight_of(p, weight, tile.log_sum[token + column]) : 0;
      t.ds[half].at[i] = weight * (t.ds[half].at[i] - tile.delta[token + column]);
    }
  }
  return t;
}

// ds (16 keys from `key` on, 16 queries from `query` on).
__device__ inline void add_to_bias(const Bf16Problem& p, const Place& at, int key, int query,
                                   const Sums16x8 (&ds)[2]) {
  const Lane lane = lane_here();
  float* const gradient = bias_gradient_of(p, at.head);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = key + row_of(lane, i), column = query + 8 * half + column_of(lane, i);
      if (row < p.tokens && column < p.tokens)
        atomicAdd(gradient + column * p.tokens + row, ds[half].at[i]);
    }
  }
}

template <int D>
__global__ void __launch_bounds__(kBlock) key_kernel(Bf16Problem p, bool adds_bias) {
  __shared__ QueryTile<D> tile;
  const Place at = place_here(p);
  Keys<D> keys;
  keys.first = first_row_here(p);
  read<D>(p, p.k, at, keys.first, keys.k);
  read<D>(p, p.v, at, keys.first, keys.v);
  Sums16x8 dk[D / 8] = {}, dv[D / 8] = {};
  for (int first = 0; first < p.tokens; first += kTile) {
    __syncthreads();
    stage(p, at, first, tile);
    __syncthreads();
    for (int token = 0; token < kTile; token += 16) {
      const Turned t = turned(p, at, keys, tile, token, first + token);
      add_weighted<D>(t.weight, tile.gradient_channels, token, dv);
      add_weighted<D>(t.ds, tile.q_channels, token, dk);
      if (adds_bias) add_to_bias(p, at, keys.first, first + token, t.ds);
    }
  }
  write<D>(p, dk, {p.scale, p.scale}, at, keys.first, p.k_gradient);
  write<D>(p, dv, {1, 1}, at, keys.first, p.v_gradient);
}

// The bias's gradient of a chunk of windows, in their order: a block has 64 queries (y) and 64 keys
// (z) of a head.
template <int D>
__global__ void __launch_bounds__(kBlock) bias_kernel(Bf16Problem p) {
  __shared__ TokenTile<D> k, v;
  const Lane lane = lane_here();
  const int key = static_cast<int>(blockIdx.z) * kTile,
            head = static_cast<int>(blockIdx.x) % p.heads,
            index = static_cast<int>(blockIdx.x) / p.heads, n = p.tokens,
            query = first_row(static_cast<int>(blockIdx.y));
  const Chunk chunk = chunk_of(p, index);
  Sums16x8 sums[kTile / 8] = {};
  for (int window = chunk.first; window < chunk.last; ++window) {
    const Place at = place_of(p, window, head);
    __syncthreads();
    stage<D>(p, p.k, at, key, &k, nullptr);
    stage<D>(p, p.v, at, key, &v, nullptr);
    __syncthreads();
    const Queries<D> queries = read_queries<D>(p, at, query);
#pragma unroll
    for (int j = 0; j < kTile / 8; j += 2) {
      Sums16x8 ds[2];
      score_gradients<D>(p, at, queries, query, k, v, 8 * j, key + 8 * j, ds);
#pragma unroll
      for (int i = 0; i < 8; ++i) sums[j + i / 4].at[i % 4] += ds[i / 4].at[i % 4];
    }
  }
  float* const to = bias_gradient_of(p, index * p.heads + head);
#pragma unroll
  for (int j = 0; j < kTile / 8; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = query + row_of(lane, i), column = key + 8 * j + column_of(lane, i);
      if (row < n && column < n) to[row * n + column] = sums[j].at[i];
    }
  }
}

}  // namespace

void backward_cuda(const Bf16Problem& p, void* stream) {
  constexpr const char* kName = "window attention gradient kernel";
  for_channels<16>(p.channels, [&](auto d) {
    launch(kName, query_kernel<d.value>, blocks_of(p), kBlock, stream, p);
    launch(kName, key_kernel<d.value>, blocks_of(p), kBlock, stream, p, p.bias_chunks == 1);
    if (p.bias_chunks == 1) return;
    const auto tiles = static_cast<unsigned>((p.tokens + kTile - 1) / kTile);
    launch(kName, bias_kernel<d.value>,
           dim3(static_cast<unsigned>(p.heads * p.bias_chunks), tiles, tiles), kBlock, stream, p);
  });
}

}  // namespace attention
}  // namespace model
}  // namespace homolog

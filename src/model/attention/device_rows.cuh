// Where a block's window and head lie in the tensors of a DeviceProblem.
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "model/attention/on_cuda.h"

namespace homolog {
namespace model {
namespace attention {

constexpr float kLeast = -1e30f;  // below every score

struct Place {
  int window, head;
  long long pair;           // window and head in one
  const float* bias;        // of the head
  const signed char* mask;  // of the window; null where it adds nothing
};

template <class T>
__device__ Place place_of(const DeviceProblem<T>& p, int window, int head) {
  const long long scores = static_cast<long long>(p.tokens) * p.tokens;
  const signed char* mask = nullptr;
  if (p.mask_windows > 0) {
    const int at = window % p.mask_windows;
    if (p.mask_least[at] < 0) mask = p.mask + at * scores;
  }
  return {window, head, window * static_cast<long long>(p.heads) + head, p.bias + head * scores,
          mask};
}

// Windows of a chunk of the bias's gradient.
struct Chunk {
  int first, last;
};

template <class T>
__device__ Chunk chunk_of(const DeviceProblem<T>& p, int index) {
  const int each = (p.windows + p.bias_chunks - 1) / p.bias_chunks, first = index * each;
  return {first, min(first + each, p.windows)};
}

template <class T>
__device__ T* row(const DeviceRows<T>& rows, const Place& at, int token) {
  return rows.data + at.window * rows.window + token * rows.token + at.head * rows.head;
}

// Of a query, from forward and from backward's first kernel: the logarithm of its sum of
// exponentials, and delta, the sum of its result with that one's gradient.
template <class T>
__device__ float* log_sums(const DeviceProblem<T>& p, const Place& at) {
  return p.softmax + at.pair * 2 * p.tokens;
}
template <class T>
__device__ float* deltas(const DeviceProblem<T>& p, const Place& at) {
  return log_sums(p, at) + p.tokens;
}

// Of the `index`-th head of all chunks.
template <class T>
__device__ float* bias_gradient_of(const DeviceProblem<T>& p, int index) {
  return p.bias_gradient + static_cast<long long>(index) * p.tokens * p.tokens;
}

// Bias and mask of a score, `at_score` = query * tokens + key.
__device__ inline float added(const Place& at, int at_score) {
  const float bias = __ldg(at.bias + at_score);
  return at.mask == nullptr ? bias : bias + static_cast<float>(__ldg(at.mask + at_score));
}

// Calls with(d), d.value the least of D, 2 D, ... 64 that has room for the channels of a head.
template <int D, class With>
void for_channels(int channels, const With& with) {
  if constexpr (D < 64) {
    if (channels > D) return for_channels<2 * D>(channels, with);
  }
  with(std::integral_constant<int, D>());
}

}  // namespace attention
}  // namespace model
}  // namespace homolog

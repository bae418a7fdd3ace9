// Where a block's window and head lie in the tensors of a DeviceProblem.
#pragma once

#include <cuda_runtime.h>

#include "model/attention/on_cuda.h"

namespace homolog {
namespace model {
namespace attention {

constexpr float kLeast = -1e30f, kMask = 1e29f;  // below every score; largest mask

struct Place {
  int window, head;
  long long pair;  // window and head in one
};

template <class T>
__device__ Place place(const DeviceProblem<T>& p) {
  const int pair = static_cast<int>(blockIdx.x);
  return {pair / p.heads, pair % p.heads, pair};
}

template <class T>
__device__ T* row(const DeviceRows<T>& rows, const Place& at, int token) {
  return rows.data + at.window * rows.window + token * rows.token + at.head * rows.head;
}

// Bias and mask of a score.
template <class T>
__device__ float added(const DeviceProblem<T>& p, const Place& at, int query, int key) {
  const long long n = p.tokens, score = query * n + key;
  float x = p.bias[at.head * n * n + score];
  if (p.mask_windows > 0) {
    const float mask = p.mask[(at.window % p.mask_windows) * n * n + score];
    x += mask < -kMask ? -kMask : mask;
  }
  return x;
}

}  // namespace attention
}  // namespace model
}  // namespace homolog

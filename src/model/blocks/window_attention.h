// Attention inside windows with a relative-position bias, and the geometry of windows. Every block
// attends through window_attention().
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "model/backbone.h"

namespace homolog::model {

using backbone::Size3;

// softmax(q k^T / sqrt(D) + bias + mask) v, per window and head.
//   q, k, v (W, N, H, D), any strides, W = images x V with the windows of an image together;
//   bias (H, N, N); mask (V, N, N), floats or int8, or undefined. Returns (W, N, H*D), contiguous.
// By one operator of homolog's own where it serves (model/attention/fused.h), else by the library.
at::Tensor window_attention(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD,
                            const at::Tensor& v_WNHD, const at::Tensor& bias_HNN,
                            const at::Tensor& mask_VNN);

// Row of the bias table for each (query, key) of a window: (N*N), int64. `exact` gives each offset
// a row of its own; otherwise offsets collide as in the public nnFormer (method.md 3.1, D32).
at::Tensor relative_index(std::int64_t window, bool exact);

// A length on each axis; a single number means the same on all three.
struct Sides {
  Sides(std::int64_t side) : axis{side, side, side} {}
  Sides(const Size3& sides) : axis(sides) {}
  std::int64_t operator[](int a) const { return axis[static_cast<std::size_t>(a)]; }
  std::int64_t volume() const { return axis[0] * axis[1] * axis[2]; }

  Size3 axis;
};

// A grid cut into boxes, after zero padding at the far ends and, where shift > 0, a roll by -shift.
struct WindowGrid {
  Size3 size{};  // of the unpadded grid
  Sides window = 1, shift = 0;

  bool is_shifted() const;
  Size3 padded() const;
  std::int64_t windows() const;                                       // per image
  at::Tensor cut(const at::Tensor& tokens_BLC) const;                 // -> (B*V, N, C)
  at::Tensor join(const at::Tensor& windows_WNC) const;               // -> (B, L, C)
  at::Tensor shift_mask_VNN(const at::TensorOptions& options) const;  // 0 or -100
};

// The mask of a shift, int8, kept for the last grid and device seen.
class ShiftMask {
 public:
  // Undefined where nothing is shifted.
  const at::Tensor& of_VNN(const WindowGrid& grid, const at::Tensor& like);

 private:
  at::Tensor mask_VNN_;
  Size3 size_{};
};

}  // namespace homolog::model

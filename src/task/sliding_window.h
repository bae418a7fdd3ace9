// Prediction of a volume larger than the network's crop: overlapping windows, blended
// (method.md 6.1). Order, weights and padding are those of MONAI's sliding_window_inference.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "model/backbone.h"

namespace homolog::task {

using backbone::Size3;

enum class Blend { Constant, Gaussian };  // all voxels of a window alike, or its middle most

struct SlidingWindowPlan {
  Size3 window{96, 96, 96};                   // voxels
  std::array<double, 3> overlap{.5, .5, .5};  // share of the window, [0, 1)
  Blend blend = Blend::Gaussian;
  std::array<double, 3> sigma{.125, .125, .125};  // of the Gaussian, share of the window
  std::int64_t windows_at_once = 4;
  double padding = 0;  // value around an image smaller than the window
};

// (N, C, window) -> (N, C', window). It may bring the windows to its own device; results are
// brought back to the image's.
using Predictor = std::function<at::Tensor(const at::Tensor& windows_NCXYZ)>;

// The mean of the predictor's results weighted by their place in the window: (B, C', X, Y, Z),
// float32 (double for a double image), on the image's device. No gradients are kept.
// Throws Error(Fault::Usage) on a plan that cannot be, Error(Fault::Data) on a predictor's shape.
at::Tensor slide(const at::Tensor& image_BCXYZ, const Predictor& predict,
                 const SlidingWindowPlan& plan);

// First voxel of each window, last axis fastest; the last window of an axis is moved inwards.
// REQUIRES: image >= window on each axis.
std::vector<Size3> window_starts(const Size3& image, const SlidingWindowPlan& plan);

// Weight of each voxel of a window, float32; at least 1e-3.
at::Tensor window_weights(const SlidingWindowPlan& plan);

// Predicts each window in all mirrored forms along `axes` (of X, Y, Z: 0, 1, 2), turned back and
// averaged: 2^axes passes.
Predictor mirrored(Predictor predict, std::vector<std::int64_t> axes = {0, 1, 2});

}  // namespace homolog::task

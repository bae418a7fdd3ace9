// Transforms that move voxels without making new values: axes, crops, padding. And the intensity
// window. Their grids: volume/affine_grid.h (reordered, cropped).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "volume/affine_grid.h"
#include "volume/intensity.h"

namespace homolog::task {

// Axes of `image_CXYZ` flipped and permuted; contiguous.
at::Tensor reorder(const at::Tensor& image_CXYZ, const AxisOrder& order);

// The box of the image (inclusive, may reach outside); `fill` outside.
at::Tensor cut_box(const at::Tensor& image_CXYZ, const Box& box, double fill = 0);

// Smallest box of the true voxels of any channel; nothing when there is none.
std::optional<Box> foreground_box(const at::Tensor& mask_CXYZ);

// HU (or any unit) -> the map's range: float32, (v - low) / (high - low) * range + shift, clipped
// to the range unless `clip` is false.
at::Tensor map_intensity(const at::Tensor& image, const IntensityMap& map, bool clip = true);

}  // namespace homolog::task

// Masks of the student's views (method.md 2.7): exact counts of cells, drawn per sample from a
// counter, zero fill. Columns through the whole z extent by default, cubes as an option.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/backbone.h"

namespace homolog::model {

struct MaskPlan {
  double ratio = 0.75;               // share of cells masked, rounded up
  std::string shape = "column";      // or "cube"; "auto" is for the caller to settle
  backbone::Size3 cell{16, 16, 16};  // voxels
};

// Cells masked in a crop: ceil(ratio * cells); 12 of 16 for 64^3 columns, 108 of 144 for
// 192x192x64.
std::int64_t masked_cells(const MaskPlan& plan, const backbone::Size3& crop);

// Share of cells that stay visible, the same in every row.
double visible_share(const MaskPlan& plan, const backbone::Size3& crop);

// 1 where seen, 0 where masked: (B, 1, X, Y, Z) float on `device`, one mask per key. Throws
// Fault::Usage when the cells do not tile the crop.
at::Tensor visible_B1XYZ(const MaskPlan& plan, const backbone::Size3& crop, std::uint64_t seed,
                         std::string_view purpose, const std::vector<std::uint64_t>& keys,
                         const at::Device& device);

}  // namespace homolog::model

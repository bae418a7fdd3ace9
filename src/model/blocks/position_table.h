// Where tokens lie: tables trained for one grid and resampled to another, and fixed sines.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/backbone.h"

namespace homolog::model {

// A position table made for `from` tokens, resampled to `to` (trilinear): (1, L, C) -> (1, L', C).
at::Tensor resize_position_table(const at::Tensor& table_1LC, const backbone::Size3& from,
                                 const backbone::Size3& to);

// Fixed positions (1, L, C), float on the host: per axis (Y, X, Z, MONAI's order) C/6 sines, then
// as many cosines, of index * 10000^(-6k/C); channels left over stay 0.
at::Tensor sine_positions_1LC(const backbone::Size3& grid, std::int64_t channels);

}  // namespace homolog::model

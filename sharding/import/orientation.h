// Which way a scan's index axes point, and how to bring its voxels into the canonical order (LPS+).
// Pure arithmetic: axes are permuted and flipped, never resampled, so no voxel changes its value.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "volume/grid.h"

namespace homolog::import {

// One letter per index axis, where it points to: L, R, P, A, S or I (closest patient axis).
std::string orientation_letters(const std::array<double, 9>& direction);

// True when the columns are unit vectors at right angles, to `tolerance`.
bool is_orthonormal(const std::array<double, 9>& direction, double tolerance = 1e-3);

// The nearest orthonormal matrix in the order of its columns (Gram-Schmidt): takes the rounding of
// single-precision headers away, so that Grid::to_index() is exact.
std::array<double, 9> orthonormalised(const std::array<double, 9>& direction);

struct Scan {
  Grid grid;
  std::vector<std::int16_t> hu;  // [z][y][x] of `grid`
};

// Index axes permuted and flipped to point closest to L, P, S. World positions of voxels stay.
Scan canonical(Scan scan);

}  // namespace homolog::import

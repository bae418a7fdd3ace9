// A CT volume in canonical orientation: index axes along LPS+ as closely as the scan allows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "volume/grid.h"

namespace homolog {

inline constexpr std::int16_t kAirHu = -1024;

struct Volume {
  std::string id;  // pseudonym from the catalogue, never patient text
  Grid grid;
  std::vector<std::int16_t> hu;  // [z][y][x], Hounsfield units

  std::int16_t at(const Index3& i) const noexcept {
    return hu[static_cast<std::size_t>(grid.offset(i))];
  }
  std::int16_t& at(const Index3& i) noexcept {
    return hu[static_cast<std::size_t>(grid.offset(i))];
  }
};

// Inclusive index box.
struct Box {
  Index3 low, high;
};
// Smallest box of the voxels with HU above `threshold` (method.md 7.2: -500); the whole grid when
// none.
Box body_box(const Volume& volume, std::int16_t threshold = -500);

// Trilinear resampling onto `target` (same direction); outside the source: kAirHu.
Volume resample(const Volume& volume, const Grid& target);

}  // namespace homolog

// Do these voxels look like CT in Hounsfield units? Pure; thresholds are in the .cpp with their
// reasons.
#pragma once

#include <string>
#include <vector>

#include "volume/volume.h"

namespace homolog::import {

inline constexpr int kFewSlices = 4;  // fewer along an axis give no volume for a 3D crop

// Why a grid in mm cannot be that of a CT: spacing, extent or origin out of all bounds. Empty: it
// can.
std::string geometry_refusal(const Grid& grid);

struct Looks {
  std::string refusal;                // empty: it may come in
  std::vector<std::string> warnings;  // what the user must know
  bool hounsfield = true;             // false: the values are surely not HU
};

// `declared_ct`: the file says that it is CT (DICOM). `eight_bit`: stored in 8 bits.
Looks looks_like_ct(const Volume& volume, bool declared_ct, bool eight_bit);

// Share of neighbouring voxels (along x, background left out) with the same value: near 1 in a
// label map, small in a picture with noise. 1 when there is only background.
double same_neighbour_share(const Volume& volume);

}  // namespace homolog::import

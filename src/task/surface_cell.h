// Area of the surface inside a box of 2x2x2 voxels, by which of them belong to the mask: 256 cases,
// as in marching cubes. Cases that a turn, a mirror or the swap of inside and outside brings
// together have the same surface, so thirteen of them are written down and the others follow.
#pragma once

#include <array>

namespace homolog::task {

// By the code whose bit 128 >> (4 i + 2 j + k) says whether voxel (i, j, k) is inside. The box has
// its corners at the voxels' centres, `spacing` apart; areas in the spacing's unit, squared.
// Values: the surface elements of Nikolov et al. 2021 (arXiv:1809.04430).
std::array<double, 256> surface_cell_areas(const std::array<double, 3>& spacing);

}  // namespace homolog::task

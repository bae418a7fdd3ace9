// Trilinear values of a volume at equally spaced points along its own index axes.
#pragma once

#include <cstdint>
#include <vector>

#include "volume/volume.h"

namespace homolog {

struct SampleBox {
  Index3 size;         // points along x, y, z
  Point3 first, step;  // of the volume's continuous index: the first point, and from point to point
};
struct Samples {
  std::vector<std::int16_t> hu;  // [z][y][x], rounded; kAirHu outside
  std::int64_t inside = 0;       // points within the volume: not past an outer voxel's edge
};
// Reads no voxels but the points' neighbours. Between an outer voxel's centre and its edge its
// value holds.
Samples sample_linear(const Volume& volume, const SampleBox& box);

}  // namespace homolog

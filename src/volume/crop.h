// Crops around a landmark, padded with air (method.md 2.5).
#pragma once

#include <cstdint>
#include <vector>

#include "volume/volume.h"

namespace homolog {

// Where the landmark sits in a stored LPS crop of side R: the network flips x and y, and there it
// must sit at R/2 on each axis (design section 2), so R/2 - 1 in x and y, R/2 in z.
Index3 landmark_in_crop(const Index3& size) noexcept;

struct Crop {
  Index3 size;
  Index3 first;                  // index in the volume of the crop's voxel (0,0,0); may be negative
  std::vector<std::int16_t> hu;  // [z][y][x]
  double outside_share = 0;      // of the crop's voxels that lie outside the volume, 0..1
  double body_share = 0;         // of the crop's voxels with HU > -500, 0..1
};

// The crop of `size` whose landmark is voxel `at`. What lies outside is kAirHu.
Crop cut(const Volume& volume, const Index3& at, const Index3& size);
// The same in voxels of `spacing_mm` (> 0) along the volume's own index axes, linear in HU; `first`
// is rounded. With the volume's own spacing it is the crop above, bit for bit.
Crop cut(const Volume& volume, const Index3& at, const Index3& size, const Point3& spacing_mm);

}  // namespace homolog

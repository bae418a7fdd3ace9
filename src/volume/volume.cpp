#include "volume/volume.h"

#include <algorithm>

#include "volume/linear_sample.h"

namespace homolog {

Box body_box(const Volume& volume, std::int16_t threshold) {
  const Index3 n = volume.grid.size;
  Box box{{n.x, n.y, n.z}, {-1, -1, -1}};
  const std::int16_t* value = volume.hu.data();
  for (std::int64_t z = 0; z < n.z; ++z) {
    for (std::int64_t y = 0; y < n.y; ++y) {
      for (std::int64_t x = 0; x < n.x; ++x, ++value) {
        if (*value <= threshold) continue;
        box.low = {std::min(box.low.x, x), std::min(box.low.y, y), std::min(box.low.z, z)};
        box.high = {std::max(box.high.x, x), std::max(box.high.y, y), std::max(box.high.z, z)};
      }
    }
  }
  if (box.high.x < 0) return {{0, 0, 0}, {n.x - 1, n.y - 1, n.z - 1}};
  return box;
}

Volume resample(const Volume& volume, const Grid& target) {
  const Point3 &from = volume.grid.spacing, &to = target.spacing;
  return {volume.id, target,
          sample_linear(volume, {target.size,
                                 volume.grid.to_index(target.origin),
                                 {to.x / from.x, to.y / from.y, to.z / from.z}})
              .hu};
}

}  // namespace homolog

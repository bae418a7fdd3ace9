#include "volume/grid.h"

#include <algorithm>
#include <cmath>

namespace homolog {

double distance(const Point3& a, const Point3& b) noexcept {
  return std::hypot(a.x - b.x, a.y - b.y, a.z - b.z);
}

bool Grid::contains(const Index3& i) const noexcept {
  return i.x >= 0 && i.y >= 0 && i.z >= 0 && i.x < size.x && i.y < size.y && i.z < size.z;
}

Point3 Grid::to_world(const Point3& i) const noexcept {
  const double x = i.x * spacing.x, y = i.y * spacing.y, z = i.z * spacing.z;
  const auto& d = direction;
  return {origin.x + d[0] * x + d[1] * y + d[2] * z, origin.y + d[3] * x + d[4] * y + d[5] * z,
          origin.z + d[6] * x + d[7] * y + d[8] * z};
}

Point3 Grid::to_world(const Index3& i) const noexcept {
  return to_world(
      Point3{static_cast<double>(i.x), static_cast<double>(i.y), static_cast<double>(i.z)});
}

Point3 Grid::to_index(const Point3& world) const noexcept {
  const double x = world.x - origin.x, y = world.y - origin.y, z = world.z - origin.z;
  const auto& d = direction;  // orthonormal, so the inverse is the transpose
  return {(d[0] * x + d[3] * y + d[6] * z) / spacing.x,
          (d[1] * x + d[4] * y + d[7] * z) / spacing.y,
          (d[2] * x + d[5] * y + d[8] * z) / spacing.z};
}

Index3 Grid::nearest(const Point3& world) const noexcept {
  const Point3 i = to_index(world);
  return {std::llround(i.x), std::llround(i.y), std::llround(i.z)};
}

Index3 Grid::clamped(const Index3& i) const noexcept {
  return {std::clamp<std::int64_t>(i.x, 0, size.x - 1),
          std::clamp<std::int64_t>(i.y, 0, size.y - 1),
          std::clamp<std::int64_t>(i.z, 0, size.z - 1)};
}

Grid with_spacing(const Grid& grid, const Point3& t) {
  const auto count = [](std::int64_t n, double from, double to) {
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>(std::ceil(static_cast<double>(n) * from / to - 1e-6)));
  };
  Grid result = grid;
  result.spacing = t;
  result.size = {count(grid.size.x, grid.spacing.x, t.x), count(grid.size.y, grid.spacing.y, t.y),
                 count(grid.size.z, grid.spacing.z, t.z)};
  // The outer edge of voxel 0 stays: centre' = edge + t/2.
  result.origin =
      grid.to_world(Point3{(t.x / grid.spacing.x - 1) / 2, (t.y / grid.spacing.y - 1) / 2,
                           (t.z / grid.spacing.z - 1) / 2});
  return result;
}

}  // namespace homolog

// A voxel grid in the patient: index (x, y, z) <-> LPS millimetres, as ITK has it.
// Memory order everywhere: z slowest, x fastest ([z][y][x], "D, H, W").
#pragma once

#include <array>
#include <cstdint>

namespace homolog {

struct Index3 {  // voxels
  std::int64_t x = 0, y = 0, z = 0;
  bool operator==(const Index3&) const = default;
};
struct Point3 {  // continuous: LPS mm, or continuous voxel index where a name says so
  double x = 0, y = 0, z = 0;
  bool operator==(const Point3&) const = default;
};

// Euclidean distance, in the points' unit.
double distance(const Point3& a, const Point3& b) noexcept;

struct Grid {
  Index3 size;              // voxels
  Point3 origin;            // LPS mm of the centre of voxel (0,0,0)
  Point3 spacing{1, 1, 1};  // mm, > 0
  std::array<double, 9> direction{1, 0, 0, 0, 1,
                                  0, 0, 0, 1};  // row-major, columns are the index axes

  std::int64_t voxels() const noexcept { return size.x * size.y * size.z; }
  // Flat offset of an index that lies inside.
  std::int64_t offset(const Index3& i) const noexcept {
    return (i.z * size.y + i.y) * size.x + i.x;
  }
  bool contains(const Index3& i) const noexcept;
  Point3 to_world(const Point3& index) const noexcept;  // continuous index -> LPS mm
  Point3 to_world(const Index3& index) const noexcept;
  Point3 to_index(const Point3& world) const noexcept;  // LPS mm -> continuous index
  Index3 nearest(const Point3& world) const noexcept;   // rounded, may lie outside
  Index3 clamped(const Index3& index) const noexcept;   // to [0, size-1]
  bool operator==(const Grid&) const = default;
};

// The grid with the same extent (voxel edges kept) and another spacing; size = max(1, ceil(n s /
// t)) per axis, so that the last voxel may reach past the old edge (method.md 7.5).
Grid with_spacing(const Grid& grid, const Point3& spacing_mm);

}  // namespace homolog

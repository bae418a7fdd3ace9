// A smooth displacement of space: cubic B-splines on a control grid along the world's axes. Along
// the axes, because then a row of voxels needs one sum over y and z and four terms a voxel.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "volume/grid.h"

namespace homolog::phantom {

class Deformation {
 public:
  // Control points start at `origin` (mm) and lie `pitch` mm apart; beyond the grid the outermost
  // coefficients continue, so the field stays smooth everywhere. Coefficients start at 0.
  Deformation(Point3 origin, double pitch, Index3 size);

  const Point3& origin() const noexcept { return origin_; }
  double pitch() const noexcept { return pitch_; }
  const Index3& size() const noexcept { return size_; }
  Point3 control_point(const Index3& i) const noexcept;
  // Coefficient = value(position of the control point), in mm.
  void set(const std::function<Point3(const Point3&)>& value);
  void scale(double factor) noexcept;

  Point3 at(const Point3& p) const noexcept;  // displacement, mm
  std::array<double, 9> gradient(
      const Point3& p) const noexcept;  // d displacement_i / d p_j, row-major

  // Displacements of points (first_x + k step_x, y, z), k = 0..n-1, in mm.
  void row(double y, double z, double first_x, double step_x, std::span<float> dx,
           std::span<float> dy, std::span<float> dz) const;

 private:
  const Point3& coefficient(std::int64_t x, std::int64_t y, std::int64_t z) const noexcept;
  Point3 origin_;
  double pitch_;
  Index3 size_;
  std::vector<Point3> coefficients_;
};

// Determinant of a row-major 3x3 matrix.
double determinant(const std::array<double, 9>& m) noexcept;

}  // namespace homolog::phantom

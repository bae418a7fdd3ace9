// Affine maps of 3-D points, as scan headers and MONAI carry them: 4x4, last row (0, 0, 0, 1).
// Columns may have any length, sign and angle; Grid (grid.h) is the special case of a stored scan.
#pragma once

#include <array>
#include <cstddef>

#include "volume/grid.h"

namespace homolog {

struct Affine {
  std::array<double, 16> m{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};  // row-major

  static Affine translation(const Point3& by) noexcept;
  static Affine scaling(const Point3& by) noexcept;
  // Turns about the first, second and third axis, R1 R2 R3 (intrinsic). A positive angle about the
  // third axis turns the first towards the second.
  static Affine rotation(const Point3& radians) noexcept;

  double operator()(int row, int column) const noexcept { return m[at(row, column)]; }
  double& operator()(int row, int column) noexcept { return m[at(row, column)]; }
  Point3 operator()(const Point3& p) const noexcept;
  // Throws Error(Fault::Data) when the map is not invertible.
  Affine inverse() const;
  // Lengths of the three columns: the spacing of a voxel-to-world map. 1 in place of 0.
  Point3 column_lengths() const noexcept;
  bool operator==(const Affine&) const = default;

 private:
  static std::size_t at(int row, int column) noexcept {
    return static_cast<std::size_t>(4 * row + column);
  }
};

Affine operator*(const Affine& left, const Affine& right) noexcept;  // `right` acts first

// Largest absolute difference of two entries.
double largest_difference(const Affine& a, const Affine& b) noexcept;

}  // namespace homolog

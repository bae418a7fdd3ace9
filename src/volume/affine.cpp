#include "volume/affine.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace homolog {
namespace {

// A turn in the plane of two axes, from `first` towards `second`.
Affine turn(int first, int second, double radians) noexcept {
  Affine result;
  result(first, first) = result(second, second) = std::cos(radians);
  result(second, first) = std::sin(radians);
  result(first, second) = -std::sin(radians);
  return result;
}

}  // namespace

Affine Affine::translation(const Point3& by) noexcept {
  Affine result;
  result(0, 3) = by.x, result(1, 3) = by.y, result(2, 3) = by.z;
  return result;
}

Affine Affine::scaling(const Point3& by) noexcept {
  Affine result;
  result(0, 0) = by.x, result(1, 1) = by.y, result(2, 2) = by.z;
  return result;
}

Affine Affine::rotation(const Point3& radians) noexcept {
  return turn(1, 2, radians.x) * turn(2, 0, radians.y) * turn(0, 1, radians.z);
}

Point3 Affine::operator()(const Point3& p) const noexcept {
  const Affine& a = *this;
  const auto row = [&](int r) { return a(r, 0) * p.x + a(r, 1) * p.y + a(r, 2) * p.z + a(r, 3); };
  return {row(0), row(1), row(2)};
}

Affine Affine::inverse() const {
  const Affine& a = *this;
  const auto minor = [&](int r, int c) {  // signed, by cyclic order of the indices
    const int r1 = (r + 1) % 3, r2 = (r + 2) % 3, c1 = (c + 1) % 3, c2 = (c + 2) % 3;
    return a(r1, c1) * a(r2, c2) - a(r1, c2) * a(r2, c1);
  };
  const double determinant = a(0, 0) * minor(0, 0) + a(0, 1) * minor(0, 1) + a(0, 2) * minor(0, 2);
  const Point3 length = column_lengths();
  if (!(std::abs(determinant) > 1e-12 * length.x * length.y * length.z)) {
    throw Error(Fault::Data, "an affine map cannot be inverted: its axes lie in one plane",
                "check the scan's direction and spacing");
  }
  Affine result;
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 3; ++c) result(r, c) = minor(c, r) / determinant;
  }
  for (int r = 0; r < 3; ++r) {
    result(r, 3) = -(result(r, 0) * a(0, 3) + result(r, 1) * a(1, 3) + result(r, 2) * a(2, 3));
  }
  return result;
}

Point3 Affine::column_lengths() const noexcept {
  const auto length = [&](int c) {
    const double l = std::sqrt((*this)(0, c) * (*this)(0, c) + (*this)(1, c) * (*this)(1, c) +
                               (*this)(2, c) * (*this)(2, c));
    return l == 0 ? 1 : l;
  };
  return {length(0), length(1), length(2)};
}

Affine operator*(const Affine& left, const Affine& right) noexcept {
  Affine result;
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 4; ++c) {
      result(r, c) = left(r, 0) * right(0, c) + left(r, 1) * right(1, c) +
                     left(r, 2) * right(2, c) + left(r, 3) * right(3, c);
    }
  }
  return result;
}

double largest_difference(const Affine& a, const Affine& b) noexcept {
  double worst = 0;
  for (std::size_t i = 0; i < a.m.size(); ++i) worst = std::max(worst, std::abs(a.m[i] - b.m[i]));
  return worst;
}

}  // namespace homolog

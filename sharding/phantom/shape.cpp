// Solids in closed form, in single precision: rendering evaluates them millions of times.
#include "sharding/phantom/shape.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "sharding/phantom/rotation.h"

namespace homolog::phantom {
Shape Shape::oriented(Kind kind, Vec centre, Vec half, Vec tilt) {
  Shape shape;
  shape.kind_ = kind;
  shape.centre_ = centre;
  constexpr double kDegree = std::numbers::pi / 180;
  // Columns: the solid's own axes.
  const auto r = rotation(tilt.x * kDegree, tilt.y * kDegree, tilt.z * kDegree);
  const std::array<float, 3> h{half.x, half.y, half.z};
  std::array<float, 3> reach{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (std::size_t i = 0; i < 3; ++i) {
      const float turn = static_cast<float>(r[i * 3 + axis]);
      shape.to_unit_[axis * 3 + i] = turn / h[axis];
      reach[i] += std::abs(turn) * h[axis];
    }
  }
  shape.bounds_ = {{centre.x - reach[0], centre.y - reach[1], centre.z - reach[2]},
                   {centre.x + reach[0], centre.y + reach[1], centre.z + reach[2]}};
  return shape;
}

Shape Shape::ellipsoid(Vec c, Vec half, Vec tilt) {
  return oriented(Kind::Ellipsoid, c, half, tilt);
}
Shape Shape::barrel(Vec c, Vec half, Vec tilt) { return oriented(Kind::Barrel, c, half, tilt); }
Shape Shape::box(Vec c, Vec half, Vec tilt) { return oriented(Kind::Box, c, half, tilt); }

Shape Shape::capsule(Vec a, Vec b, float radius_a, float radius_b) {
  Shape shape;
  shape.kind_ = Kind::Capsule;
  shape.centre_ = {(a.x + b.x) / 2, (a.y + b.y) / 2, (a.z + b.z) / 2};
  shape.start_ = a;
  shape.along_ = {b.x - a.x, b.y - a.y, b.z - a.z};
  const Vec& l = shape.along_;
  shape.inverse_length2_ = 1 / std::max(1e-6f, l.x * l.x + l.y * l.y + l.z * l.z);
  shape.radius_a_ = radius_a;
  shape.radius_b_ = radius_b;
  const float r = std::max(radius_a, radius_b);
  shape.bounds_ = {{std::min(a.x, b.x) - r, std::min(a.y, b.y) - r, std::min(a.z, b.z) - r},
                   {std::max(a.x, b.x) + r, std::max(a.y, b.y) + r, std::max(a.z, b.z) + r}};
  return shape;
}

float Shape::level(float x, float y, float z) const noexcept {
  if (kind_ == Kind::Capsule) {
    const float px = x - start_.x, py = y - start_.y, pz = z - start_.z;
    const float t =
        std::clamp((px * along_.x + py * along_.y + pz * along_.z) * inverse_length2_, 0.f, 1.f);
    const float dx = px - t * along_.x, dy = py - t * along_.y, dz = pz - t * along_.z;
    const float r = radius_a_ + t * (radius_b_ - radius_a_);
    return 1 - (dx * dx + dy * dy + dz * dz) / (r * r);
  }
  const float dx = x - centre_.x, dy = y - centre_.y, dz = z - centre_.z;
  const float u = to_unit_[0] * dx + to_unit_[1] * dy + to_unit_[2] * dz;
  const float v = to_unit_[3] * dx + to_unit_[4] * dy + to_unit_[5] * dz;
  const float w = to_unit_[6] * dx + to_unit_[7] * dy + to_unit_[8] * dz;
  if (kind_ == Kind::Ellipsoid) return 1 - (u * u + v * v + w * w);
  if (kind_ == Kind::Barrel) return 1 - std::max(u * u + v * v, w * w);
  return 1 - std::max({u * u, v * v, w * w});
}

}  // namespace homolog::phantom

// Cubic B-splines: value, gradient, and the fast evaluation along a row.
#include "sharding/phantom/deformation.h"

#include <algorithm>
#include <cmath>

namespace homolog::phantom {
namespace {

struct Taps {
  std::int64_t first;  // of the four control points
  std::array<double, 4> weight;
  std::array<double, 4> slope;  // d weight / d (coordinate in units of the pitch)
};

Taps taps(double u) noexcept {
  const double base = std::floor(u), t = u - base, s = 1 - t;
  return {static_cast<std::int64_t>(base) - 1,
          {s * s * s / 6, (3 * t * t * t - 6 * t * t + 4) / 6, (3 * s * s * s - 6 * s * s + 4) / 6,
           t * t * t / 6},
          {-s * s / 2, (3 * t * t - 4 * t) / 2, (-3 * s * s + 4 * s) / 2, t * t / 2}};
}

}  // namespace

double determinant(const std::array<double, 9>& m) noexcept {
  return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
         m[2] * (m[3] * m[7] - m[4] * m[6]);
}

Deformation::Deformation(Point3 origin, double pitch, Index3 size)
    : origin_(origin),
      pitch_(pitch),
      size_(size),
      coefficients_(static_cast<std::size_t>(size.x * size.y * size.z)) {}

Point3 Deformation::control_point(const Index3& i) const noexcept {
  return {origin_.x + pitch_ * static_cast<double>(i.x),
          origin_.y + pitch_ * static_cast<double>(i.y),
          origin_.z + pitch_ * static_cast<double>(i.z)};
}

void Deformation::set(const std::function<Point3(const Point3&)>& value) {
  std::size_t k = 0;
  for (std::int64_t z = 0; z < size_.z; ++z) {
    for (std::int64_t y = 0; y < size_.y; ++y) {
      for (std::int64_t x = 0; x < size_.x; ++x)
        coefficients_[k++] = value(control_point({x, y, z}));
    }
  }
}

void Deformation::scale(double factor) noexcept {
  for (Point3& c : coefficients_) c = {c.x * factor, c.y * factor, c.z * factor};
}

const Point3& Deformation::coefficient(std::int64_t x, std::int64_t y,
                                       std::int64_t z) const noexcept {
  x = std::clamp<std::int64_t>(x, 0, size_.x - 1);
  y = std::clamp<std::int64_t>(y, 0, size_.y - 1);
  z = std::clamp<std::int64_t>(z, 0, size_.z - 1);
  return coefficients_[static_cast<std::size_t>((z * size_.y + y) * size_.x + x)];
}

Point3 Deformation::at(const Point3& p) const noexcept {
  const Taps x = taps((p.x - origin_.x) / pitch_), y = taps((p.y - origin_.y) / pitch_),
             z = taps((p.z - origin_.z) / pitch_);
  Point3 sum;
  for (int k = 0; k < 4; ++k) {
    for (int j = 0; j < 4; ++j) {
      for (int i = 0; i < 4; ++i) {
        const double w = x.weight[i] * y.weight[j] * z.weight[k];
        const Point3& c = coefficient(x.first + i, y.first + j, z.first + k);
        sum = {sum.x + w * c.x, sum.y + w * c.y, sum.z + w * c.z};
      }
    }
  }
  return sum;
}

std::array<double, 9> Deformation::gradient(const Point3& p) const noexcept {
  const Taps x = taps((p.x - origin_.x) / pitch_), y = taps((p.y - origin_.y) / pitch_),
             z = taps((p.z - origin_.z) / pitch_);
  std::array<double, 9> g{};
  for (int k = 0; k < 4; ++k) {
    for (int j = 0; j < 4; ++j) {
      for (int i = 0; i < 4; ++i) {
        const Point3& c = coefficient(x.first + i, y.first + j, z.first + k);
        const double d[3] = {x.slope[i] * y.weight[j] * z.weight[k] / pitch_,
                             x.weight[i] * y.slope[j] * z.weight[k] / pitch_,
                             x.weight[i] * y.weight[j] * z.slope[k] / pitch_};
        for (int a = 0; a < 3; ++a) {
          g[a] += d[a] * c.x;
          g[3 + a] += d[a] * c.y;
          g[6 + a] += d[a] * c.z;
        }
      }
    }
  }
  return g;
}

void Deformation::row(double y, double z, double first_x, double step_x, std::span<float> dx,
                      std::span<float> dy, std::span<float> dz) const {
  const Taps ty = taps((y - origin_.y) / pitch_), tz = taps((z - origin_.z) / pitch_);
  std::vector<Point3> line(static_cast<std::size_t>(size_.x));
  for (std::int64_t x = 0; x < size_.x; ++x) {
    Point3 sum;
    for (int k = 0; k < 4; ++k) {
      for (int j = 0; j < 4; ++j) {
        const double w = ty.weight[j] * tz.weight[k];
        const Point3& c = coefficient(x, ty.first + j, tz.first + k);
        sum = {sum.x + w * c.x, sum.y + w * c.y, sum.z + w * c.z};
      }
    }
    line[static_cast<std::size_t>(x)] = sum;
  }
  for (std::size_t n = 0; n < dx.size(); ++n) {
    const Taps tx = taps((first_x + step_x * static_cast<double>(n) - origin_.x) / pitch_);
    Point3 sum;
    for (int i = 0; i < 4; ++i) {
      const Point3& c =
          line[static_cast<std::size_t>(std::clamp<std::int64_t>(tx.first + i, 0, size_.x - 1))];
      sum = {sum.x + tx.weight[i] * c.x, sum.y + tx.weight[i] * c.y, sum.z + tx.weight[i] * c.z};
    }
    dx[n] = static_cast<float>(sum.x);
    dy[n] = static_cast<float>(sum.y);
    dz[n] = static_cast<float>(sum.z);
  }
}

}  // namespace homolog::phantom

// Draws a body's parameters and inverts its map.
#include "sharding/phantom/body.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <tuple>
#include <vector>

#include "base/counter_rng.h"
#include "base/error.h"
#include "sharding/phantom/rotation.h"
#include "sharding/phantom/template_body.h"

namespace homolog::phantom {
namespace {

constexpr double kFinePitch = 26, kCoarsePitch = 85;  // mm
constexpr double kMinJacobian = 0.25;
// Root mean square of a tricubic B-spline with independent unit coefficients: (151/315)^(3/2).
constexpr double kSplineGain = 0.3319;

double bounded_normal(CounterRng& rng, double mean, double deviation, double reach) {
  return mean + deviation * std::clamp(rng.normal(), -reach, reach);
}

// Organs that move on their own: centre and size, template mm.
struct Mover {
  Point3 centre;
  double radius;
};
constexpr Mover kMovers[] = {
    {{20, -38, 370}, 46}, {{-74, 4, 290}, 58},  {{108, 46, 288}, 34}, {{62, 42, 236}, 34},
    {{-60, 42, 220}, 34}, {{60, -22, 290}, 40}, {{0, -50, 215}, 44},  {{8, -38, 160}, 48},
    {{0, -36, 64}, 34},   {{100, 10, 200}, 36}, {{-98, 0, 180}, 36},  {{20, 20, 440}, 34},
    {{90, 20, 430}, 44},  {{-90, 20, 430}, 44}, {{90, 10, 60}, 44},   {{-90, 10, 60}, 44},
    {{0, 60, 380}, 40},   {{0, 45, 180}, 40},   {{0, 60, 80}, 44},    {{130, 0, 330}, 44},
    {{-130, 0, 330}, 44},
};

// A local displacement: `by` at the point `at`, a Gaussian around it.
struct Push {
  Point3 at, by;  // LPS mm; mm
  double inverse_two_sigma2;
};

Point3 random_vector(CounterRng& rng, double deviation) {
  return {deviation * rng.normal(), deviation * rng.normal(), deviation * rng.normal()};
}

std::int64_t cells(double length, double pitch) {
  return static_cast<std::int64_t>(std::ceil(length / pitch)) + 3;
}

// Independent coefficients on a coarse grid around a body placed at `t`: 10 mm RMS at strength 1.
Deformation smooth_field(CounterRng& rng, const Point3& t, double strength) {
  const Point3 shift{rng.uniform(0, kCoarsePitch), rng.uniform(0, kCoarsePitch),
                     rng.uniform(0, kCoarsePitch)};
  Deformation field({t.x - 260 - shift.x, t.y - 200 - shift.y, t.z - 60 - shift.z}, kCoarsePitch,
                    {cells(605, kCoarsePitch), cells(485, kCoarsePitch), cells(745, kCoarsePitch)});
  const double deviation = strength * 10 / std::sqrt(3.0) / kSplineGain;
  field.set([&](const Point3&) { return random_vector(rng, deviation); });
  return field;
}

}  // namespace

Body::Body(std::uint64_t seed, std::uint64_t index, double strength)
    : seed_(seed), index_(index), deformation_({0, 0, 0}, kFinePitch, {1, 1, 1}) {
  if (!(strength >= 0 && strength <= 2)) {
    throw Error(Fault::Usage, "deformation " + std::to_string(strength) + " is out of range",
                "choose 0 to 2");
  }
  char name[32];
  std::snprintf(name, sizeof name, "phantom-%04llu", static_cast<unsigned long long>(index));
  id_ = name;
  place();
  deform(strength);
  frame();
}

void Body::place() {
  CounterRng rng(seed_, "phantom.pose", index_);
  BodyParameters& p = parameters_;
  const double size = bounded_normal(rng, 1, 0.04, 2);
  p.scale = {size * bounded_normal(rng, 1, 0.04, 2), size * bounded_normal(rng, 1, 0.04, 2),
             size * bounded_normal(rng, 1, 0.03, 2)};
  const double degree = std::numbers::pi / 180;
  const double ax = bounded_normal(rng, 0, 2, 2) * degree,
               ay = bounded_normal(rng, 0, 1.5, 2) * degree;
  p.rotation = rotation(ax, ay, bounded_normal(rng, 0, 2.5, 2) * degree);
  // Scanners put their origin anywhere: nothing may depend on it.
  p.translation = {rng.uniform(-20, 20), rng.uniform(-150, 30), rng.uniform(-1200, 200)};
  CounterRng look(seed_, "phantom.look", index_);
  p.contrast = look.uniform() < 0.3 ? 0 : look.uniform(0.2, 1);
  p.noise_hu = look.uniform(10, 25);
  p.bone_density = look.uniform(0.8, 1.2);
  p.stomach_level = look.uniform(-52, -22);
  p.table_gap = look.uniform(1, 8);
}

void Body::deform(double strength) {
  if (strength == 0) return;
  const Point3& t = parameters_.translation;
  CounterRng rng(seed_, "phantom.deformation", index_);
  const Deformation smooth = smooth_field(rng, t, strength);
  std::vector<Push> pushes;
  for (const Mover& mover : kMovers) {
    pushes.push_back({undeformed(mover.centre), random_vector(rng, 5 * strength),
                      0.5 / (mover.radius * mover.radius)});
  }
  deformation_ =
      Deformation({t.x - 260, t.y - 200, t.z - 60}, kFinePitch,
                  {cells(520, kFinePitch), cells(400, kFinePitch), cells(700, kFinePitch)});
  deformation_.set([&](const Point3& p) {
    Point3 d = smooth.at(p);
    for (const Push& push : pushes) {
      const double r = distance(p, push.at);
      const double w = std::exp(-r * r * push.inverse_two_sigma2);
      d = {d.x + w * push.by.x, d.y + w * push.by.y, d.z + w * push.by.z};
    }
    return d;
  });
  // Weaken the field, rather than draw another one, until no place comes near folding.
  while (lowest_jacobian() < kMinJacobian) {
    deformation_.scale(0.93);
    parameters_.deformation_scale *= 0.93;
  }
}

double Body::lowest_jacobian() const noexcept {
  const Index3& n = deformation_.size();
  const Point3& o = deformation_.origin();
  const double h = kFinePitch / 2;
  double low = 1;
  for (std::int64_t k = 0; k < 2 * n.z; ++k) {
    for (std::int64_t j = 0; j < 2 * n.y; ++j) {
      for (std::int64_t i = 0; i < 2 * n.x; ++i) {
        low = std::min(low,
                       jacobian({o.x + h * static_cast<double>(i), o.y + h * static_cast<double>(j),
                                 o.z + h * static_cast<double>(k)}));
      }
    }
  }
  return low;
}

void Body::frame() {
  CounterRng rng(seed_, "phantom.field_of_view", index_);
  const double bottom = rng.uniform(kTemplateBottom, 40), top = rng.uniform(485, kTemplateTop);
  const Point3 low = from_template({0, 0, bottom}), high = from_template({0, 0, top});
  const Point3 middle = from_template({0, 0, 260});
  const double half_x = rng.uniform(205, 218), half_y = rng.uniform(150, 162);
  const double off_x = rng.uniform(-10, 10),
               off_y = rng.uniform(5, 22);  // room for the table behind
  parameters_.low = {middle.x + off_x - half_x, middle.y + off_y - half_y, low.z};
  parameters_.high = {middle.x + off_x + half_x, middle.y + off_y + half_y, high.z};
}

Grid Body::grid(double spacing_mm) const {
  if (!(spacing_mm >= 0.5 && spacing_mm <= 20)) {
    throw Error(Fault::Usage, "spacing " + std::to_string(spacing_mm) + " mm is out of range",
                "choose 0.5 to 20 mm");
  }
  const Point3 &a = parameters_.low, &b = parameters_.high;
  const auto count = [&](double from, double to) {
    return static_cast<std::int64_t>(std::floor((to - from) / spacing_mm));
  };
  Grid grid;
  grid.size = {count(a.x, b.x), count(a.y, b.y), count(a.z, b.z)};
  grid.spacing = {spacing_mm, spacing_mm, spacing_mm};
  grid.origin = {a.x + spacing_mm / 2, a.y + spacing_mm / 2, a.z + spacing_mm / 2};
  return grid;
}

Point3 Body::to_template(const Point3& p) const noexcept {
  const Point3 d = deformation_.at(p);
  const auto& [scale, r, t] =
      std::tie(parameters_.scale, parameters_.rotation, parameters_.translation);
  const double x = p.x + d.x - t.x, y = p.y + d.y - t.y, z = p.z + d.z - t.z;
  return {(r[0] * x + r[3] * y + r[6] * z) / scale.x, (r[1] * x + r[4] * y + r[7] * z) / scale.y,
          (r[2] * x + r[5] * y + r[8] * z) / scale.z};
}

Point3 Body::undeformed(const Point3& q) const noexcept {
  const auto& [scale, r, t] =
      std::tie(parameters_.scale, parameters_.rotation, parameters_.translation);
  const double x = q.x * scale.x, y = q.y * scale.y, z = q.z * scale.z;
  return {t.x + r[0] * x + r[1] * y + r[2] * z, t.y + r[3] * x + r[4] * y + r[5] * z,
          t.z + r[6] * x + r[7] * y + r[8] * z};
}

double Body::jacobian(const Point3& lps) const noexcept {
  std::array<double, 9> g = deformation_.gradient(lps);
  g[0] += 1;
  g[4] += 1;
  g[8] += 1;
  return determinant(g);
}

Point3 Body::from_template(const Point3& point) const {
  const Point3 goal = undeformed(point);  // solve p + d(p) = goal
  Point3 p = goal;
  for (int step = 0; step < 60; ++step) {
    const Point3 d = deformation_.at(p);
    const Point3 miss{goal.x - p.x - d.x, goal.y - p.y - d.y, goal.z - p.z - d.z};
    if (distance(miss, {}) < 1e-7) return p;
    std::array<double, 9> m = deformation_.gradient(p);
    m[0] += 1;
    m[4] += 1;
    m[8] += 1;
    const double inverse = 1 / determinant(m);
    const auto solve = [&](int column) {  // Cramer's rule
      std::array<double, 9> c = m;
      c[static_cast<std::size_t>(column)] = miss.x;
      c[static_cast<std::size_t>(column) + 3] = miss.y;
      c[static_cast<std::size_t>(column) + 6] = miss.z;
      return determinant(c) * inverse;
    };
    p = {p.x + solve(0), p.y + solve(1), p.z + solve(2)};
  }
  throw Error(Fault::Data, id_ + ": the deformation cannot be inverted at a template point",
              "lower --deformation");
}

Point3 homolog_of(const Body& a, const Body& b, const Point3& lps_in_a) {
  return b.from_template(a.to_template(lps_in_a));
}

}  // namespace homolog::phantom

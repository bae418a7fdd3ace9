// One phantom: the template under a known map. Image point p (LPS mm) shows template point
//   T^-1(p) = S^-1 R^T (p + d(p) - t)
// with d cubic B-splines, so that rendering evaluates a formula; T is found by Newton's method.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "sharding/phantom/deformation.h"
#include "volume/grid.h"

namespace homolog::phantom {

struct BodyParameters {
  Point3 scale{1, 1, 1};  // template -> body, per axis
  std::array<double, 9> rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};
  Point3 translation;            // LPS mm of the template's origin, before d
  double deformation_scale = 1;  // below 1 where d had to be weakened to stay invertible
  double contrast = 0;           // 0 native .. 1 strongly enhanced
  double noise_hu = 15;          // standard deviation
  double bone_density = 1;
  double stomach_level = -40;  // template y above (in front of) which the stomach holds gas
  double table_gap = 2;        // mm between back and table
  Point3 low, high;            // LPS mm, outer edges of the image
};

class Body {
 public:
  // Body `index` of `seed`. deformation 1: RMS 10 mm smooth displacement (length of the vector over
  // the body) and organ jitter of 5 mm per axis; 0: pose and size only. Throws Fault::Usage unless
  // 0 <= deformation <= 2.
  Body(std::uint64_t seed, std::uint64_t index, double deformation);

  const std::string& id() const noexcept { return id_; }  // "phantom-0007"
  std::uint64_t seed() const noexcept { return seed_; }
  std::uint64_t index() const noexcept { return index_; }
  const BodyParameters& parameters() const noexcept { return parameters_; }
  const Deformation& deformation() const noexcept { return deformation_; }

  Point3 to_template(const Point3& lps) const noexcept;
  // Residual of to_template(result) below 1e-6 mm. Throws Fault::Data where Newton fails (a fold:
  // cannot happen inside the checked region).
  Point3 from_template(const Point3& point) const;
  // Determinant of d to_template / d lps, without the constant 1 / (sx sy sz).
  double jacobian(const Point3& lps) const noexcept;

  Grid grid(double spacing_mm) const;  // canonical, direction identity

 private:
  void place();
  void deform(double strength);
  double lowest_jacobian() const noexcept;
  void frame();
  Point3 undeformed(const Point3& template_point) const noexcept;

  std::uint64_t seed_, index_;
  std::string id_;
  BodyParameters parameters_;
  Deformation deformation_;
};

// The true homolog in `b` of a point of `a`. The point may lie outside b's image.
Point3 homolog_of(const Body& a, const Body& b, const Point3& lps_in_a);

}  // namespace homolog::phantom

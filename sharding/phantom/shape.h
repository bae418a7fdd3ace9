// The solids that organs are built of. One number tells inside from outside and how deep, so that
// shells (cortical bone, organ walls) need no second solid.
#pragma once

#include <array>
#include <cstdint>

namespace homolog::phantom {

struct Vec {  // template millimetres, LPS directions
  float x = 0, y = 0, z = 0;
};

struct Aabb {  // closed box, template mm
  Vec low, high;
  bool overlaps(const Aabb& o) const noexcept {
    return low.x <= o.high.x && o.low.x <= high.x && low.y <= o.high.y && o.low.y <= high.y &&
           low.z <= o.high.z && o.low.z <= high.z;
  }
};

class Shape {
 public:
  // Half-axes in mm; turned by `tilt` degrees about the x, then the y, then the z axis.
  static Shape ellipsoid(Vec centre, Vec half, Vec tilt = {});
  static Shape barrel(Vec centre, Vec half, Vec tilt = {});  // elliptic in x, y; flat ends in z
  static Shape box(Vec centre, Vec half, Vec tilt = {});
  static Shape capsule(Vec a, Vec b, float radius_a, float radius_b);

  // 1 at the centre (on a capsule's axis), 0 on the surface, below 0 outside.
  float level(float x, float y, float z) const noexcept;
  const Aabb& bounds() const noexcept { return bounds_; }
  Vec centre() const noexcept { return centre_; }

 private:
  enum class Kind : std::uint8_t { Ellipsoid, Barrel, Box, Capsule };
  static Shape oriented(Kind kind, Vec centre, Vec half, Vec tilt);

  Kind kind_ = Kind::Ellipsoid;
  std::array<float, 9> to_unit_{};  // row-major; template offset -> unit solid
  Vec centre_, start_, along_;      // capsule: axis start_ + t along_
  float inverse_length2_ = 0, radius_a_ = 0, radius_b_ = 0;
  Aabb bounds_;
};

}  // namespace homolog::phantom

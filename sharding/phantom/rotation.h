// A rotation about the x, then the y, then the z axis, for bodies and for the solids in them.
#pragma once

#include <array>
#include <cmath>

namespace homolog::phantom {

// Row-major 3x3; angles in radians.
inline std::array<double, 9> rotation(double ax, double ay, double az) {
  const double cx = std::cos(ax), sx = std::sin(ax), cy = std::cos(ay), sy = std::sin(ay),
               cz = std::cos(az), sz = std::sin(az);
  return {cz * cy,
          cz * sy * sx - sz * cx,
          cz * sy * cx + sz * sx,
          sz * cy,
          sz * sy * sx + cz * cx,
          sz * sy * cx - cz * sx,
          -sy,
          cy * sx,
          cy * cx};
}

}  // namespace homolog::phantom

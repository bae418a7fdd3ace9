#include "volume/volume.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace homolog {
namespace {

// Per target index along one axis: the two source neighbours and the weight of the upper one.
struct Tap {
  std::int64_t low, high;  // -1: outside
  float weight;
};

std::vector<Tap> taps(std::int64_t count, double first, double step, std::int64_t size) {
  std::vector<Tap> result(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const double at = first + step * static_cast<double>(i);
    if (at < -0.5 || at > static_cast<double>(size) - 0.5) {  // past the outer voxel's edge
      result[static_cast<std::size_t>(i)] = {-1, -1, 0};
      continue;
    }
    const double inside = std::clamp(at, 0.0, static_cast<double>(size - 1));
    const auto low = std::min(static_cast<std::int64_t>(inside), size - 1);
    result[static_cast<std::size_t>(i)] = {low, std::min(low + 1, size - 1),
                                           static_cast<float>(inside - static_cast<double>(low))};
  }
  return result;
}

}  // namespace

Box body_box(const Volume& volume, std::int16_t threshold) {
  const Index3 n = volume.grid.size;
  Box box{{n.x, n.y, n.z}, {-1, -1, -1}};
  const std::int16_t* value = volume.hu.data();
  for (std::int64_t z = 0; z < n.z; ++z) {
    for (std::int64_t y = 0; y < n.y; ++y) {
      for (std::int64_t x = 0; x < n.x; ++x, ++value) {
        if (*value <= threshold) continue;
        box.low = {std::min(box.low.x, x), std::min(box.low.y, y), std::min(box.low.z, z)};
        box.high = {std::max(box.high.x, x), std::max(box.high.y, y), std::max(box.high.z, z)};
      }
    }
  }
  if (box.high.x < 0) return {{0, 0, 0}, {n.x - 1, n.y - 1, n.z - 1}};
  return box;
}

Volume resample(const Volume& volume, const Grid& target) {
  const Grid& source = volume.grid;
  const Point3 first = source.to_index(target.origin);
  const auto x_taps =
      taps(target.size.x, first.x, target.spacing.x / source.spacing.x, source.size.x);
  const auto y_taps =
      taps(target.size.y, first.y, target.spacing.y / source.spacing.y, source.size.y);
  const auto z_taps =
      taps(target.size.z, first.z, target.spacing.z / source.spacing.z, source.size.z);
  Volume result{volume.id, target,
                std::vector<std::int16_t>(static_cast<std::size_t>(target.voxels()), kAirHu)};
  std::int16_t* out = result.hu.data();
  for (const Tap& z : z_taps) {
    for (const Tap& y : y_taps) {
      if (z.low < 0 || y.low < 0) {
        out += target.size.x;
        continue;
      }
      const auto row = [&](std::int64_t k, std::int64_t j) {
        return volume.hu.data() + (k * source.size.y + j) * source.size.x;
      };
      const std::array<const std::int16_t*, 4> rows = {row(z.low, y.low), row(z.low, y.high),
                                                       row(z.high, y.low), row(z.high, y.high)};
      const std::array<float, 4> weight = {(1 - z.weight) * (1 - y.weight),
                                           (1 - z.weight) * y.weight, z.weight * (1 - y.weight),
                                           z.weight * y.weight};
      for (const Tap& x : x_taps) {
        if (x.low >= 0) {
          float sum = 0;
          for (int r = 0; r < 4; ++r) {
            sum += weight[r] * ((1 - x.weight) * rows[r][x.low] + x.weight * rows[r][x.high]);
          }
          *out = static_cast<std::int16_t>(std::lround(sum));
        }
        ++out;
      }
    }
  }
  return result;
}

}  // namespace homolog

#include "volume/linear_sample.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace homolog {
namespace {

// Per point along one axis: its two neighbours and the weight of the upper one.
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

std::int64_t inside(const std::vector<Tap>& axis) {
  return std::count_if(axis.begin(), axis.end(), [](const Tap& t) { return t.low >= 0; });
}

}  // namespace

Samples sample_linear(const Volume& volume, const SampleBox& box) {
  const Index3& n = volume.grid.size;
  const auto x_taps = taps(box.size.x, box.first.x, box.step.x, n.x);
  const auto y_taps = taps(box.size.y, box.first.y, box.step.y, n.y);
  const auto z_taps = taps(box.size.z, box.first.z, box.step.z, n.z);
  Samples result;
  result.hu.assign(static_cast<std::size_t>(box.size.x * box.size.y * box.size.z), kAirHu);
  result.inside = inside(x_taps) * inside(y_taps) * inside(z_taps);
  std::int16_t* out = result.hu.data();
  for (const Tap& z : z_taps) {
    for (const Tap& y : y_taps) {
      if (z.low < 0 || y.low < 0) {
        out += box.size.x;
        continue;
      }
      const auto row = [&](std::int64_t k, std::int64_t j) {
        return volume.hu.data() + (k * n.y + j) * n.x;
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

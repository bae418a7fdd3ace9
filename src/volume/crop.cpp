#include "volume/crop.h"

#include <algorithm>
#include <cmath>

#include "volume/linear_sample.h"

namespace homolog {
namespace {

constexpr std::int16_t kBody = -500;

}  // namespace

Index3 landmark_in_crop(const Index3& size) noexcept {
  return {size.x / 2 - 1, size.y / 2 - 1, size.z / 2};
}

Crop cut(const Volume& volume, const Index3& at, const Index3& size) {
  const Index3 inner = landmark_in_crop(size);
  Crop crop{size, {at.x - inner.x, at.y - inner.y, at.z - inner.z}, {}, 0, 0};
  crop.hu.assign(static_cast<std::size_t>(size.x * size.y * size.z), kAirHu);
  const Index3& n = volume.grid.size;
  const std::int64_t x0 = std::max<std::int64_t>(0, -crop.first.x);
  const std::int64_t x1 = std::min(size.x, n.x - crop.first.x);
  std::int64_t inside = 0, body = 0;
  for (std::int64_t z = 0; z < size.z; ++z) {
    const std::int64_t vz = crop.first.z + z;
    if (vz < 0 || vz >= n.z) continue;
    for (std::int64_t y = 0; y < size.y; ++y) {
      const std::int64_t vy = crop.first.y + y;
      if (vy < 0 || vy >= n.y || x0 >= x1) continue;
      const std::int16_t* from = volume.hu.data() + volume.grid.offset({crop.first.x + x0, vy, vz});
      std::int16_t* to = crop.hu.data() + (z * size.y + y) * size.x + x0;
      std::copy(from, from + (x1 - x0), to);
      inside += x1 - x0;
      body += std::count_if(from, from + (x1 - x0), [](std::int16_t hu) { return hu > kBody; });
    }
  }
  const double total = static_cast<double>(crop.hu.size());
  crop.outside_share = 1.0 - static_cast<double>(inside) / total;
  crop.body_share = static_cast<double>(body) / total;
  return crop;
}

Crop cut(const Volume& volume, const Index3& at, const Index3& size, const Point3& spacing_mm) {
  const Point3& own = volume.grid.spacing;
  if (spacing_mm == own) return cut(volume, at, size);
  const Index3 inner = landmark_in_crop(size);
  const Point3 step{spacing_mm.x / own.x, spacing_mm.y / own.y, spacing_mm.z / own.z};
  const auto start = [](std::int64_t landmark, std::int64_t before, double by) {
    return static_cast<double>(landmark) - static_cast<double>(before) * by;
  };
  const Point3 first{start(at.x, inner.x, step.x), start(at.y, inner.y, step.y),
                     start(at.z, inner.z, step.z)};
  Samples samples = sample_linear(volume, {size, first, step});
  const double total = static_cast<double>(samples.hu.size());
  const auto body = std::count_if(samples.hu.begin(), samples.hu.end(),
                                  [](std::int16_t hu) { return hu > kBody; });
  return {size,
          {std::llround(first.x), std::llround(first.y), std::llround(first.z)},
          std::move(samples.hu),
          1.0 - static_cast<double>(samples.inside) / total,
          static_cast<double>(body) / total};
}

}  // namespace homolog

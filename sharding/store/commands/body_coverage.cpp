#include "sharding/store/commands/body_coverage.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "volume/crop.h"

namespace homolog::store {
namespace {

constexpr std::int64_t kCells = 40;

using Sides = std::array<std::int64_t, 3>;

// First and last cell whose centre lies within [low, high], voxels; last < first: none.
std::array<std::int64_t, 2> cells_within(double low, double high, double first, double length,
                                         std::int64_t cells) {
  const double per_cell = length / static_cast<double>(cells);
  const auto from = static_cast<std::int64_t>(std::ceil((low - first) / per_cell - 0.5));
  const auto to = static_cast<std::int64_t>(std::floor((high - first) / per_cell - 0.5));
  return {std::max<std::int64_t>(0, from), std::min(cells - 1, to)};
}

double along(const CropRecord& crop, std::size_t axis) {
  double sum = 0;  // columns of `direction` are the index axes
  for (std::size_t i = 0; i < 3; ++i) sum += crop.direction[3 * i + axis] * crop.centre_lps_mm[i];
  return sum;
}

}  // namespace

bool knows_body(const StudyRecord& study) noexcept {
  for (std::size_t a = 0; a < 3; ++a) {
    if (study.grid[a] <= 0 || study.body_last[a] < study.body_first[a]) return false;
  }
  return true;
}

std::array<double, 3> volume_spacing(std::span<const CropRecord> crops) {
  std::array<double, 3> spacing = crops.front().spacing_mm;
  for (std::size_t a = 0; a < 3; ++a) {
    const auto [low, high] =
        std::minmax_element(crops.begin(), crops.end(),
                            [a](const auto& l, const auto& r) { return l.voxel[a] < r.voxel[a]; });
    const int apart = high->voxel[a] - low->voxel[a];
    if (apart == 0) continue;
    const double told = (along(*high, a) - along(*low, a)) / apart;
    if (told > 0 && std::isfinite(told)) spacing[a] = told;
  }
  return spacing;
}

double covered_share(const ShardHeader& header, const StudyRecord& study,
                     std::span<const CropRecord> crops) {
  if (crops.empty()) return 0;
  const std::int64_t rim = 2 * header.margin;
  const Index3 size{header.crop.x - rim, header.crop.y - rim, header.crop.z - rim};
  const Index3 inner = landmark_in_crop(size);
  const Sides side{size.x, size.y, size.z}, before{inner.x, inner.y, inner.z};
  const std::array<double, 3> spacing = volume_spacing(crops);
  Sides cells;
  for (std::size_t a = 0; a < 3; ++a)
    cells[a] = std::min<std::int64_t>(kCells, study.body_last[a] - study.body_first[a] + 1);
  std::vector<bool> covered(static_cast<std::size_t>(cells[0] * cells[1] * cells[2]));
  for (const CropRecord& crop : crops) {
    std::array<std::array<std::int64_t, 2>, 3> range;
    for (std::size_t a = 0; a < 3; ++a) {
      const double step = crop.spacing_mm[a] / spacing[a];  // voxels of the volume
      const double low = crop.voxel[a] - (static_cast<double>(before[a]) + 0.5) * step;
      range[a] =
          cells_within(low, low + static_cast<double>(side[a]) * step, study.body_first[a] - 0.5,
                       study.body_last[a] - study.body_first[a] + 1, cells[a]);
    }
    for (std::int64_t z = range[2][0]; z <= range[2][1]; ++z) {
      for (std::int64_t y = range[1][0]; y <= range[1][1]; ++y) {
        for (std::int64_t x = range[0][0]; x <= range[0][1]; ++x)
          covered[static_cast<std::size_t>((z * cells[1] + y) * cells[0] + x)] = true;
      }
    }
  }
  return static_cast<double>(std::count(covered.begin(), covered.end(), true)) /
         static_cast<double>(covered.size());
}

double height_in_body(const StudyRecord& study, const CropRecord& crop) noexcept {
  const int high = std::max(1, study.body_last[2] - study.body_first[2]);
  return std::clamp(static_cast<double>(crop.voxel[2] - study.body_first[2]) / high, 0.0, 1.0);
}

}  // namespace homolog::store

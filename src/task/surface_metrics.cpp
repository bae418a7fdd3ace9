// Both surfaces are marked in the box around both masks; the distance transform of one is read at
// the elements of the other.
#include "task/surface_metrics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "task/surface_cell.h"
#include "task/transforms/rearrange.h"
#include "volume/distance_transform.h"

namespace homolog::task {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Voxels of a mask inside the common box, which a layer of outside surrounds.
struct Mask {
  Sides3 sides;
  at::Tensor values_XYZ;  // uint8 0/1, CPU, contiguous

  const std::uint8_t* data() const { return values_XYZ.const_data_ptr<std::uint8_t>(); }
};

struct Surface {
  std::vector<std::uint8_t> marked;
  std::vector<std::int64_t> elements;  // offsets of the marked
  std::vector<double> areas;

  void add(std::int64_t offset, double area) {
    marked[static_cast<std::size_t>(offset)] = 1;
    elements.push_back(offset);
    areas.push_back(area);
  }
};

Mask masked(const at::Tensor& mask_1XYZ, const Box& box) {
  const Index3 size = size_of(box);
  return {{size.x, size.y, size.z},
          cut_box(mask_1XYZ, box).squeeze(0).to(at::kCPU, at::kByte).contiguous()};
}

Surface voxel_surface(const Mask& mask) {
  const auto [nx, ny, nz] = mask.sides;
  Surface surface{std::vector<std::uint8_t>(static_cast<std::size_t>(nx * ny * nz)), {}, {}};
  const std::uint8_t* m = mask.data();
  for (std::int64_t x = 1; x + 1 < nx; ++x) {  // the outer layer is empty
    for (std::int64_t y = 1; y + 1 < ny; ++y) {
      for (std::int64_t z = 1; z + 1 < nz; ++z) {
        const std::int64_t i = (x * ny + y) * nz + z;
        if (m[i] == 0) continue;
        const bool within =
            m[i - 1] && m[i + 1] && m[i - nz] && m[i + nz] && m[i - ny * nz] && m[i + ny * nz];
        if (!within) surface.add(i, 1);
      }
    }
  }
  return surface;
}

// Element (x, y, z) is the box between voxels (x, y, z) and (x+1, y+1, z+1).
Surface subcell_surface(const Mask& mask, const std::array<double, 256>& areas) {
  const auto [nx, ny, nz] = mask.sides;
  Surface surface{std::vector<std::uint8_t>(static_cast<std::size_t>(nx * ny * nz)), {}, {}};
  for (std::int64_t x = 0; x + 1 < nx; ++x) {
    for (std::int64_t y = 0; y + 1 < ny; ++y) {
      const std::int64_t row = (x * ny + y) * nz;
      const std::array<const std::uint8_t*, 4> rows{mask.data() + row, mask.data() + row + nz,
                                                    mask.data() + row + ny * nz,
                                                    mask.data() + row + ny * nz + nz};
      for (std::int64_t z = 0; z + 1 < nz; ++z) {
        unsigned code = 0;
        for (const std::uint8_t* r : rows) code = code << 2 | unsigned{r[z]} << 1 | r[z + 1];
        if (code != 0 && code != 255) surface.add(row + z, areas[code]);
      }
    }
  }
  return surface;
}

std::vector<SurfaceElement> measured(const Surface& from, const Surface& to, const Sides3& sides,
                                     const std::array<double, 3>& spacing) {
  if (from.elements.empty() && to.elements.empty()) return {};
  if (from.elements.empty()) return {{kInfinity, 0}};
  std::vector<SurfaceElement> result(from.elements.size(), {kInfinity, 0});
  const auto squared =
      to.elements.empty() ? std::vector<double>{} : squared_distances(to.marked, sides, spacing);
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i].area = from.areas[i];
    if (squared.empty()) continue;
    result[i].distance = std::sqrt(squared[static_cast<std::size_t>(from.elements[i])]);
  }
  return result;
}

double percentile_of(const std::vector<SurfaceElement>& side, double percentile) {
  if (side.empty()) return kNan;
  std::vector<double> sorted;
  for (const SurfaceElement& e : side) sorted.push_back(e.distance);
  std::sort(sorted.begin(), sorted.end());
  if (percentile >= 100) return sorted.back();
  const double rank = percentile / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const double above = sorted[std::min(below + 1, sorted.size() - 1)];
  // Between two infinities lies NaN, as in the reference.
  return sorted[below] + (rank - static_cast<double>(below)) * (above - sorted[below]);
}

}  // namespace

SurfaceDistances surface_distances(const at::Tensor& predicted_XYZ, const at::Tensor& truth_XYZ,
                                   const std::array<double, 3>& spacing, SurfaceKind kind) {
  if (predicted_XYZ.dim() != 3 || predicted_XYZ.sizes() != truth_XYZ.sizes()) {
    throw Error(Fault::Data, "surface distances of two masks that differ in shape",
                "give both as X, Y, Z of one image");
  }
  for (const double s : spacing) {
    if (!(s > 0) || !std::isfinite(s)) {
      throw Error(Fault::Usage, "surface distances with a spacing of " + std::to_string(s),
                  "spacing is in mm, above 0");
    }
  }
  const at::Tensor predicted_1XYZ = predicted_XYZ.to(at::kBool).unsqueeze(0);
  const at::Tensor truth_1XYZ = truth_XYZ.to(at::kBool).unsqueeze(0);
  const auto box = foreground_box(predicted_1XYZ | truth_1XYZ.to(predicted_1XYZ.device()));
  if (!box) return {};
  const Box wide = grown(*box, {1, 1, 1});
  const Mask predicted = masked(predicted_1XYZ, wide), truth = masked(truth_1XYZ, wide);
  const auto areas = surface_cell_areas(spacing);
  const auto surface = [&](const Mask& mask) {
    return kind == SurfaceKind::Voxels ? voxel_surface(mask) : subcell_surface(mask, areas);
  };
  const Surface p = surface(predicted), t = surface(truth);
  return {measured(p, t, predicted.sides, spacing), measured(t, p, predicted.sides, spacing)};
}

double hausdorff(const SurfaceDistances& distances, double percentile, Direction direction) {
  const double there = percentile_of(distances.from_prediction, percentile);
  if (direction == Direction::FromPrediction) return there;
  const double back = percentile_of(distances.from_truth, percentile);
  if (std::isnan(there) || std::isnan(back)) return kNan;
  return std::max(there, back);
}

double average_surface_distance(const SurfaceDistances& distances, Direction direction) {
  double sum = 0;
  std::size_t count = distances.from_prediction.size();
  for (const SurfaceElement& e : distances.from_prediction) sum += e.distance;
  if (direction == Direction::Both) {
    count += distances.from_truth.size();
    for (const SurfaceElement& e : distances.from_truth) sum += e.distance;
  }
  return count == 0 ? kNan : sum / static_cast<double>(count);
}

double surface_dice(const SurfaceDistances& distances, double tolerance) {
  double within = 0, all = 0;
  for (const auto* side : {&distances.from_prediction, &distances.from_truth}) {
    for (const SurfaceElement& e : *side) {
      all += e.area;
      // In float, so that a distance of three times 0.7 mm is within 2.1 mm.
      if (static_cast<float>(e.distance) <= static_cast<float>(tolerance)) within += e.area;
    }
  }
  return all == 0 ? kNan : within / all;
}

}  // namespace homolog::task

// Arg-max over the key's fine cells, in slabs of layers and batches of points, so that memory stays
// bounded whatever the volume; then back to voxels (method.md 7.6).
#include "sharding/match/matcher.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "sharding/match/similarity.h"

namespace homolog::match {
namespace {

constexpr std::int64_t kBatch = 64;  // points that share one sweep of the key
constexpr std::int64_t kSlabFloats = std::int64_t{1} << 23;  // similarities held at a time

struct Best {
  float score = -2;
  std::int64_t cell = 0;
};

void check(const Embedding& query, const Embedding& key) {
  if (query.sam_hash != key.sam_hash) {
    throw Error(Fault::Usage,
                "embeddings of " + query.volume_id + " and " + key.volume_id +
                    " come from different SAM weights (" + query.sam_hash + ", " + key.sam_hash +
                    ")",
                "embed both with the same --sam");
  }
}

std::vector<Best> sweep(const KeyField& field, const QueryVectors& q, const at::Tensor& coarse_PK) {
  const Index3 n = field.cells();
  const std::int64_t points = q.fine_PC.size(0), layer = n.x * n.y;
  const std::int64_t step = std::max<std::int64_t>(1, kSlabFloats / (points * layer));
  std::vector<Best> best(static_cast<std::size_t>(points));
  for (std::int64_t z = 0; z < n.z; z += step) {
    const at::Tensor sims_PN = field.layers(q, coarse_PK, z, std::min(z + step, n.z));
    const float* row = sims_PN.const_data_ptr<float>();
    for (Best& b : best) {
      const float* top = std::max_element(row, row + sims_PN.size(1));  // the first of equals
      if (*top > b.score) b = {*top, z * layer + (top - row)};
      row += sims_PN.size(1);
    }
  }
  return best;
}

// Peak of the parabola through three similarities, in cells from the middle one.
double peak(double before, double middle, double after) {
  const double bend = before - 2 * middle + after;
  return bend < -1e-12 ? std::clamp(0.5 * (before - after) / bend, -0.5, 0.5) : 0.0;
}

Point3 refine(const KeyField& field, const QueryVectors& q, const at::Tensor& coarse_PK,
              std::int64_t point, const Index3& cell) {
  const Index3 n = field.cells();
  const double middle = field.at(q, coarse_PK, point, cell);
  const auto along = [&](std::int64_t Index3::*axis) {
    if (cell.*axis == 0 || cell.*axis + 1 == n.*axis) return static_cast<double>(cell.*axis);
    Index3 before = cell, after = cell;
    --(before.*axis);
    ++(after.*axis);
    return static_cast<double>(cell.*axis) + peak(field.at(q, coarse_PK, point, before), middle,
                                                  field.at(q, coarse_PK, point, after));
  };
  return {along(&Index3::x), along(&Index3::y), along(&Index3::z)};
}

// One axis of a cell, back in the key's voxels.
double voxel(double cell, std::int64_t stride, double voxel_mm, double sam_mm, std::int64_t size,
             Mode mode) {
  const double rho = voxel_mm / sam_mm, step = static_cast<double>(stride);
  const double p =
      mode == Mode::Exact ? std::trunc((step * cell + 0.5) / rho) : step * (cell + 0.5) / rho - 0.5;
  return std::clamp(p, 0.0, static_cast<double>(size - 1));
}

Match back(const Embedding& key, const Point3& cell, double score, Mode mode) {
  const Grid &v = key.volume_grid, &s = key.sam_grid;
  Match m;
  m.index = {voxel(cell.x, key.fine_stride.x, v.spacing.x, s.spacing.x, v.size.x, mode),
             voxel(cell.y, key.fine_stride.y, v.spacing.y, s.spacing.y, v.size.y, mode),
             voxel(cell.z, key.fine_stride.z, v.spacing.z, s.spacing.z, v.size.z, mode)};
  m.voxel = {std::llround(m.index.x), std::llround(m.index.y), std::llround(m.index.z)};
  m.score = score;
  return m;
}

}  // namespace

std::vector<Match> match_points(const Embedding& query, const Embedding& key,
                                const std::vector<Point3>& points, Mode mode) {
  check(query, key);
  std::vector<Match> matches;
  if (points.empty()) return matches;
  const KeyField field(key, mode);
  const Index3 n = field.cells();
  for (std::size_t first = 0; first < points.size(); first += kBatch) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(first);
    const auto count = std::min<std::ptrdiff_t>(kBatch, points.end() - begin);
    const QueryVectors q = query_vectors(query, {begin, begin + count}, mode);
    const at::Tensor coarse_PK = field.coarse_field(q.coarse_PC);
    const std::vector<Best> best = sweep(field, q, coarse_PK);
    for (std::size_t i = 0; i < best.size(); ++i) {
      const std::int64_t c = best[i].cell;
      const Index3 cell{c % n.x, c / n.x % n.y, c / n.x / n.y};
      const Point3 at = mode == Mode::Exact
                            ? Point3{double(cell.x), double(cell.y), double(cell.z)}
                            : refine(field, q, coarse_PK, static_cast<std::int64_t>(i), cell);
      matches.push_back(back(key, at, best[i].score, mode));
    }
  }
  return matches;
}

}  // namespace homolog::match

// Arg-max over the key's fine cells, in slabs of layers and batches of points, so that memory stays
// bounded whatever the volume; then back to voxels (method.md 7.6). Image mode holds one point's
// similarities with all voxels of the key at a time.
#include "sharding/match/matcher.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/upsample_trilinear3d.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/error.h"
#include "sharding/match/similarity.h"

namespace homolog::match {
namespace {

constexpr std::size_t kBatch = 64;  // query cells that share one sweep of the key
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

// Where one query cell was found: continuous fine cell, or voxel (Image).
struct Found {
  Point3 at;
  double score = 0;
};

Index3 cell_of(std::int64_t flat, const Index3& n) {
  return {flat % n.x, flat / n.x % n.y, flat / n.x / n.y};
}
Point3 continuous(const Index3& i) { return {double(i.x), double(i.y), double(i.z)}; }

// Arg-max among the key's voxels, one query cell after the other.
std::vector<Found> search_image(const KeyField& field, const QueryVectors& q,
                                const at::Tensor& coarse_PK, const Index3& voxels) {
  const Index3 n = field.cells();
  std::vector<Found> found;
  for (std::int64_t p = 0; p < q.fine_PC.size(0); ++p) {
    const QueryVectors one{q.fine_PC.narrow(0, p, 1), q.coarse_PC.narrow(0, p, 1)};
    const at::Tensor sims =
        field.layers(one, coarse_PK.narrow(0, p, 1), 0, n.z).view({1, 1, n.z, n.y, n.x});
    const at::Tensor image =
        at::upsample_trilinear3d(sims, {voxels.z, voxels.y, voxels.x}, false).flatten();
    const std::int64_t best = image.argmax().item<std::int64_t>();
    found.push_back({continuous(cell_of(best, voxels)), image[best].item<double>()});
  }
  return found;
}

std::vector<Found> search(const KeyField& field, const QueryVectors& q, const Embedding& key,
                          Mode mode) {
  const at::Tensor coarse_PK = field.coarse_field(q.coarse_PC);
  if (mode == Mode::Image) return search_image(field, q, coarse_PK, key.volume_grid.size);
  std::vector<Found> found;
  for (const Best& best : sweep(field, q, coarse_PK)) {
    const Index3 cell = cell_of(best.cell, field.cells());
    const auto point = static_cast<std::int64_t>(found.size());
    found.push_back(
        {mode == Mode::Refined ? refine(field, q, coarse_PK, point, cell) : continuous(cell),
         best.score});
  }
  return found;
}

Match back(const Embedding& key, const Found& found, Mode mode) {
  const Grid &v = key.volume_grid, &s = key.sam_grid;
  const Point3& cell = found.at;
  Match m;
  m.index = cell;
  if (mode != Mode::Image) {
    m.index = {voxel(cell.x, key.fine_stride.x, v.spacing.x, s.spacing.x, v.size.x, mode),
               voxel(cell.y, key.fine_stride.y, v.spacing.y, s.spacing.y, v.size.y, mode),
               voxel(cell.z, key.fine_stride.z, v.spacing.z, s.spacing.z, v.size.z, mode)};
  }
  m.voxel = {std::llround(m.index.x), std::llround(m.index.y), std::llround(m.index.z)};
  m.score = found.score;
  return m;
}

// The cell of a point and those around it, `around` to each side.
void add_cells(std::vector<Point3>& cells, const Embedding& e, const Point3& point, Mode mode,
               std::int64_t around) {
  const Index3 n = e.fine_cells();
  const Point3 own = query_cell(e, point, mode);
  const auto inside = [](double at, std::int64_t size) {
    return std::clamp(at, 0.0, static_cast<double>(size - 1));
  };
  for (std::int64_t z = -around; z <= around; ++z) {
    for (std::int64_t y = -around; y <= around; ++y) {
      for (std::int64_t x = -around; x <= around; ++x) {
        cells.push_back({inside(own.x + double(x), n.x), inside(own.y + double(y), n.y),
                         inside(own.z + double(z), n.z)});
      }
    }
  }
}

Found mean(const Found* first, std::size_t count) {
  Found sum;
  for (std::size_t i = 0; i < count; ++i) {
    sum.at.x += first[i].at.x, sum.at.y += first[i].at.y, sum.at.z += first[i].at.z;
    sum.score += first[i].score;
  }
  const auto n = static_cast<double>(count);
  return {{sum.at.x / n, sum.at.y / n, sum.at.z / n}, sum.score / n};
}

}  // namespace

Mode mode_named(const std::string& name) {
  if (name == "exact") return Mode::Exact;
  if (name == "refined") return Mode::Refined;
  if (name == "image") return Mode::Image;
  throw std::logic_error("no such matching: " + name);
}

std::vector<Match> match_points(const Embedding& query, const Embedding& key,
                                const std::vector<Point3>& points, Mode mode,
                                std::int64_t neighbours) {
  check(query, key);
  std::vector<Match> matches;
  if (points.empty()) return matches;
  const KeyField field(key, mode);
  const auto side = static_cast<std::size_t>(2 * neighbours + 1), each = side * side * side;
  const std::size_t step = std::max<std::size_t>(1, kBatch / each);
  for (std::size_t first = 0; first < points.size(); first += step) {
    const std::size_t count = std::min(step, points.size() - first);
    std::vector<Point3> cells;
    for (std::size_t i = 0; i < count; ++i)
      add_cells(cells, query, points[first + i], mode, neighbours);
    const auto found = search(field, cell_vectors(query, cells, mode), key, mode);
    for (std::size_t i = 0; i < count; ++i)
      matches.push_back(back(key, mean(&found[i * each], each), mode));
  }
  return matches;
}

std::vector<CellMatch> match_cells(const Embedding& query, const Embedding& key,
                                   const std::vector<Index3>& cells) {
  check(query, key);
  std::vector<CellMatch> matches;
  if (cells.empty()) return matches;
  const KeyField field(key, Mode::Exact);
  std::vector<Point3> points;
  for (const Index3& cell : cells) points.push_back(continuous(cell));
  const QueryVectors q = cell_vectors(query, points, Mode::Exact);
  for (const Best& best : sweep(field, q, field.coarse_field(q.coarse_PC)))
    matches.push_back({cell_of(best.cell, field.cells()), best.score});
  return matches;
}

}  // namespace homolog::match

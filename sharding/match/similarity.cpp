#include "sharding/match/similarity.h"

#include <ATen/Parallel.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

namespace homolog::match {
namespace {

Tap tap(double at, std::int64_t size) {
  const double inside = std::max(at, 0.0);
  const auto low = std::min(static_cast<std::int64_t>(inside), size - 1);
  return {low, std::min(low + 1, size - 1), static_cast<float>(inside - static_cast<double>(low))};
}

// Coarse cells per fine cell: the ratio of sizes, as interpolation to a size has it; Refined: the
// ratio of strides, which odd sizes do not distort.
std::array<double, 3> coarse_per_fine(const Embedding& e, Mode mode) {
  const Index3 f = e.fine_cells(), c = e.coarse_cells();
  const auto ratio = [](std::int64_t a, std::int64_t b) {
    return static_cast<double>(a) / static_cast<double>(b);
  };
  if (mode != Mode::Refined) return {ratio(c.x, f.x), ratio(c.y, f.y), ratio(c.z, f.z)};
  const Index3 &fs = e.fine_stride, &cs = e.coarse_stride;
  return {ratio(fs.x, cs.x), ratio(fs.y, cs.y), ratio(fs.z, cs.z)};
}

// Trilinear reading of map_CDHW at a continuous cell index; edges repeat.
at::Tensor read(const at::Tensor& map_CDHW, const Point3& at) {
  const Tap x = tap(at.x, map_CDHW.size(3)), y = tap(at.y, map_CDHW.size(2)),
            z = tap(at.z, map_CDHW.size(1));
  at::Tensor sum = at::zeros({map_CDHW.size(0)}, at::kFloat);
  for (int corner = 0; corner < 8; ++corner) {
    const bool up_x = corner & 1, up_y = corner & 2, up_z = corner & 4;
    const float w = (up_x ? x.weight : 1 - x.weight) * (up_y ? y.weight : 1 - y.weight) *
                    (up_z ? z.weight : 1 - z.weight);
    if (w == 0) continue;
    const at::Tensor column = map_CDHW.select(1, up_z ? z.high : z.low)
                                  .select(1, up_y ? y.high : y.low)
                                  .select(1, up_x ? x.high : x.low);
    sum.add_(column.to(at::kFloat), w);
  }
  return sum;
}

at::Tensor unit(const at::Tensor& vector) {
  return vector / at::linalg_vector_norm(vector).clamp_min(1e-12);
}

// Continuous fine cell of a voxel. Refined: edges aligned, no rounding; else floor(rho p / stride).
double fine_cell(double p, double voxel_mm, double sam_mm, std::int64_t stride, std::int64_t cells,
                 Mode mode) {
  const double rho = voxel_mm / sam_mm, step = static_cast<double>(stride);
  const double cell =
      mode == Mode::Refined ? rho * (p + 0.5) / step - 0.5 : std::floor(rho * p / step);
  return std::clamp(cell, 0.0, static_cast<double>(cells - 1));
}

}  // namespace

Point3 query_cell(const Embedding& e, const Point3& p, Mode mode) {
  const Index3 n = e.fine_cells();
  const Point3 &v = e.volume_grid.spacing, &s = e.sam_grid.spacing;
  return {fine_cell(p.x, v.x, s.x, e.fine_stride.x, n.x, mode),
          fine_cell(p.y, v.y, s.y, e.fine_stride.y, n.y, mode),
          fine_cell(p.z, v.z, s.z, e.fine_stride.z, n.z, mode)};
}

QueryVectors cell_vectors(const Embedding& e, const std::vector<Point3>& cells, Mode mode) {
  const std::array<double, 3> scale = coarse_per_fine(e, mode);
  std::vector<at::Tensor> fine, coarse;
  for (const Point3& cell : cells) {
    const at::Tensor local = read(e.fine_CDHW, cell);
    fine.push_back(mode == Mode::Refined ? unit(local) : local);
    const Point3 wide{(cell.x + 0.5) * scale[0] - 0.5, (cell.y + 0.5) * scale[1] - 0.5,
                      (cell.z + 0.5) * scale[2] - 0.5};
    coarse.push_back(unit(read(e.coarse_CDHW, wide)));
  }
  return {at::stack(fine), at::stack(coarse)};
}

QueryVectors query_vectors(const Embedding& e, const std::vector<Point3>& points, Mode mode) {
  std::vector<Point3> cells;
  for (const Point3& p : points) cells.push_back(query_cell(e, p, mode));
  return cell_vectors(e, cells, mode);
}

KeyField::KeyField(const Embedding& key, Mode mode)
    : key_(key), fine_(key.fine_cells()), coarse_(key.coarse_cells()) {
  coarse_KC_ = key.coarse_CDHW.to(at::kFloat).flatten(1).t().contiguous();
  const std::array<double, 3> scale = coarse_per_fine(key, mode);
  const std::array<std::int64_t, 3> fine = {fine_.x, fine_.y, fine_.z},
                                    coarse = {coarse_.x, coarse_.y, coarse_.z};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (std::int64_t i = 0; i < fine[axis]; ++i) {
      taps_[axis].push_back(tap((static_cast<double>(i) + 0.5) * scale[axis] - 0.5, coarse[axis]));
    }
  }
  measure_lengths();
}

// Dot products of each coarse cell with its 27 neighbours, [cell][dz+1][dy+1][dx+1].
std::vector<float> KeyField::neighbour_products() const {
  const std::int64_t channels = coarse_KC_.size(1), layer = coarse_.x * coarse_.y;
  const float* c = coarse_KC_.const_data_ptr<float>();
  std::vector<float> products(static_cast<std::size_t>(coarse_KC_.size(0) * 27), 0);
  at::parallel_for(0, coarse_.z, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin * layer; k < end * layer; ++k) {
      const std::int64_t x = k % coarse_.x, y = k / coarse_.x % coarse_.y, z = k / layer;
      for (int o = 0; o < 27; ++o) {
        const Index3 n{x + o % 3 - 1, y + o / 3 % 3 - 1, z + o / 9 - 1};
        if (n.x < 0 || n.y < 0 || n.z < 0 || n.x >= coarse_.x || n.y >= coarse_.y ||
            n.z >= coarse_.z)
          continue;
        const float *a = c + k * channels,
                    *b = c + ((n.z * coarse_.y + n.y) * coarse_.x + n.x) * channels;
        float sum = 0;
        for (std::int64_t i = 0; i < channels; ++i) sum += a[i] * b[i];
        products[static_cast<std::size_t>(k * 27 + o)] = sum;
      }
    }
  });
  return products;
}

// Squared length of the coarse vector interpolated at one fine cell.
float KeyField::squared_length(const std::vector<float>& products, const Index3& at) const {
  const Tap &tx = taps_[0][static_cast<std::size_t>(at.x)],
            &ty = taps_[1][static_cast<std::size_t>(at.y)];
  const Tap& tz = taps_[2][static_cast<std::size_t>(at.z)];
  std::array<std::int64_t, 8> cell{}, place{};  // differences of places are offsets among 27
  std::array<float, 8> w{};
  for (std::size_t i = 0; i < 8; ++i) {
    const bool ux = i & 1U, uy = i & 2U, uz = i & 4U;
    const std::int64_t x = ux ? tx.high : tx.low, y = uy ? ty.high : ty.low,
                       z = uz ? tz.high : tz.low;
    w[i] = (ux ? tx.weight : 1 - tx.weight) * (uy ? ty.weight : 1 - ty.weight) *
           (uz ? tz.weight : 1 - tz.weight);
    cell[i] = (z * coarse_.y + y) * coarse_.x + x;
    place[i] = z * 9 + y * 3 + x;
  }
  float sum = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      sum +=
          w[i] * w[j] * products[static_cast<std::size_t>(cell[i] * 27 + 13 + place[j] - place[i])];
    }
  }
  return sum;
}

// |sum_i w_i c_i|^2 = sum_ij w_i w_j (c_i . c_j): needs the products of neighbouring coarse cells
// alone, a few million multiply-adds, where up-sampling the vectors would take a thousand times
// that.
void KeyField::measure_lengths() {
  const std::vector<float> products = neighbour_products();
  inverse_length_.resize(static_cast<std::size_t>(fine_.x * fine_.y * fine_.z));
  at::parallel_for(0, fine_.z, 1, [&](std::int64_t begin, std::int64_t end) {
    float* out = inverse_length_.data() + begin * fine_.y * fine_.x;
    for (Index3 i{0, 0, begin}; i.z < end; ++i.z) {
      for (i.y = 0; i.y < fine_.y; ++i.y) {
        for (i.x = 0; i.x < fine_.x; ++i.x)
          *out++ = 1.0F / std::sqrt(std::max(squared_length(products, i), 1e-24F));
      }
    }
  });
}

at::Tensor KeyField::coarse_field(const at::Tensor& coarse_PC) const {
  return at::matmul(coarse_PC, coarse_KC_.t()).contiguous();
}

// out += 1/2 coarse similarity, over the fine cells of layers [first, last) in raster order.
void KeyField::add_coarse(float* out, const float* field, std::int64_t first,
                          std::int64_t last) const {
  std::vector<float> row(static_cast<std::size_t>(coarse_.x));
  const float* inverse = inverse_length_.data() + first * fine_.y * fine_.x;
  for (std::int64_t z = first; z < last; ++z) {
    const Tap& tz = taps_[2][static_cast<std::size_t>(z)];
    for (std::int64_t y = 0; y < fine_.y; ++y) {
      const Tap& ty = taps_[1][static_cast<std::size_t>(y)];
      const auto line = [&](std::int64_t cz, std::int64_t cy) {
        return field + (cz * coarse_.y + cy) * coarse_.x;
      };
      const float *a = line(tz.low, ty.low), *b = line(tz.low, ty.high), *c = line(tz.high, ty.low),
                  *d = line(tz.high, ty.high);
      for (std::int64_t x = 0; x < coarse_.x; ++x) {
        const float low = a[x] + ty.weight * (b[x] - a[x]), high = c[x] + ty.weight * (d[x] - c[x]);
        row[static_cast<std::size_t>(x)] = low + tz.weight * (high - low);
      }
      for (const Tap& tx : taps_[0]) {
        const float low = row[static_cast<std::size_t>(tx.low)],
                    high = row[static_cast<std::size_t>(tx.high)];
        *out++ += 0.5F * (low + tx.weight * (high - low)) * *inverse++;
      }
    }
  }
}

at::Tensor KeyField::layers(const QueryVectors& q, const at::Tensor& field_PK, std::int64_t first,
                            std::int64_t last) const {
  const at::Tensor slab_CN =
      key_.fine_CDHW.narrow(1, first, last - first).to(at::kFloat).flatten(1);
  at::Tensor sims_PN = at::matmul(q.fine_PC * 0.5, slab_CN).contiguous();
  float* out = sims_PN.mutable_data_ptr<float>();
  const float* field = field_PK.const_data_ptr<float>();
  const std::int64_t cells = sims_PN.size(1), coarse = field_PK.size(1);
  at::parallel_for(0, sims_PN.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p)
      add_coarse(out + p * cells, field + p * coarse, first, last);
  });
  return sims_PN;
}

float KeyField::interpolated(const float* field, const Index3& cell) const {
  const Tap &x = taps_[0][static_cast<std::size_t>(cell.x)],
            &y = taps_[1][static_cast<std::size_t>(cell.y)],
            &z = taps_[2][static_cast<std::size_t>(cell.z)];
  const auto value = [&](std::int64_t k, std::int64_t j) {
    const float* line = field + (k * coarse_.y + j) * coarse_.x;
    return line[x.low] + x.weight * (line[x.high] - line[x.low]);
  };
  const float low = value(z.low, y.low) + y.weight * (value(z.low, y.high) - value(z.low, y.low));
  const float high =
      value(z.high, y.low) + y.weight * (value(z.high, y.high) - value(z.high, y.low));
  return low + z.weight * (high - low);
}

double KeyField::at(const QueryVectors& q, const at::Tensor& field_PK, std::int64_t point,
                    const Index3& cell) const {
  const at::Tensor vector =
      key_.fine_CDHW.select(1, cell.z).select(1, cell.y).select(1, cell.x).to(at::kFloat);
  const double fine = at::matmul(q.fine_PC.select(0, point), vector).item<double>();
  const float* field = field_PK.const_data_ptr<float>() + point * field_PK.size(1);
  const std::size_t offset =
      static_cast<std::size_t>((cell.z * fine_.y + cell.y) * fine_.x + cell.x);
  return 0.5 * (fine + static_cast<double>(interpolated(field, cell)) *
                           static_cast<double>(inverse_length_[offset]));
}

}  // namespace homolog::match

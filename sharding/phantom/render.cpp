// From the analytic template to voxels: one evaluation a voxel, rows cut into pieces so that each
// piece asks only the solids near it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "sharding/phantom/appearance.h"
#include "sharding/phantom/phantom.h"

namespace homolog::phantom {
namespace {

constexpr std::size_t kPiece = 12;  // voxels

// The couch: a shell with foam inside, fixed to the scanner, not to the body.
struct Couch {
  double top, middle_x;
  float hu(double x, double y) const noexcept {
    const double across = x - middle_x;
    if (std::abs(across) > 195) return 0;
    const double depth = y - (top - 0.0011 * across * across);  // hollow in the middle
    if (depth < 0 || depth > 26) return 0;
    return depth < 4 || depth > 22 ? 60.f : -190.f;
  }
  bool holds(double x, double y) const noexcept { return hu(x, y) != 0; }
};

Couch couch_under(const Body& body) {
  const TemplateBody& shape = template_body();
  double back = -std::numeric_limits<double>::infinity();
  for (float z = 60; z < 500; z += 20) {
    for (const float x : {-30.f, 0.f, 30.f})
      back = std::max(back, body.from_template({x, shape.back_y(z) - 1, z}).y);
  }
  return {back + body.parameters().table_gap, body.from_template({0, 0, 260}).x};
}

class RowRenderer {
 public:
  RowRenderer(const Body& body, const Grid& grid)
      : body_(body),
        grid_(grid),
        appearance_(body),
        couch_(couch_under(body)),
        points_(static_cast<std::size_t>(grid.size.x)),
        dx_(points_.size()),
        dy_(points_.size()),
        dz_(points_.size()) {}

  void render(std::int64_t y, std::int64_t z, float* hu, std::uint8_t* labels) {
    to_template(y, z);
    shape_.select(bounds(0, points_.size()), shape_.everything(), row_parts_);
    const double world_y = grid_.to_world(Index3{0, y, z}).y;
    for (std::size_t from = 0; from < points_.size(); from += kPiece) {
      const std::size_t to = std::min(points_.size(), from + kPiece);
      const Aabb box = bounds(from, to);
      const bool body_near = shape_.may_hold_body(box);
      if (body_near) shape_.select(box, row_parts_, near_);
      for (std::size_t i = from; i < to; ++i) {
        const Tissue tissue = body_near ? shape_.at(points_[i], near_) : Tissue{};
        const double world_x = grid_.origin.x + grid_.spacing.x * static_cast<double>(i);
        if (tissue.organ == Organ::Air && couch_.holds(world_x, world_y)) {
          hu[i] = couch_.hu(world_x, world_y);
          labels[i] = static_cast<std::uint8_t>(Organ::Table);
        } else {
          hu[i] = appearance_.hu(tissue, points_[i]);
          labels[i] = static_cast<std::uint8_t>(tissue.organ);
        }
      }
    }
  }

 private:
  // The formula of body.h for a whole row.
  void to_template(std::int64_t y, std::int64_t z) {
    const Point3 first = grid_.to_world(Index3{0, y, z});
    const BodyParameters& b = body_.parameters();
    body_.deformation().row(first.y, first.z, first.x, grid_.spacing.x, dx_, dy_, dz_);
    const auto& r = b.rotation;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const double px =
          first.x + grid_.spacing.x * static_cast<double>(i) + dx_[i] - b.translation.x;
      const double py = first.y + dy_[i] - b.translation.y, pz = first.z + dz_[i] - b.translation.z;
      points_[i] = {static_cast<float>((r[0] * px + r[3] * py + r[6] * pz) / b.scale.x),
                    static_cast<float>((r[1] * px + r[4] * py + r[7] * pz) / b.scale.y),
                    static_cast<float>((r[2] * px + r[5] * py + r[8] * pz) / b.scale.z)};
    }
  }

  Aabb bounds(std::size_t from, std::size_t to) const {
    Aabb box{points_[from], points_[from]};
    for (std::size_t i = from + 1; i < to; ++i) {
      const Vec& p = points_[i];
      box.low = {std::min(box.low.x, p.x), std::min(box.low.y, p.y), std::min(box.low.z, p.z)};
      box.high = {std::max(box.high.x, p.x), std::max(box.high.y, p.y), std::max(box.high.z, p.z)};
    }
    return box;
  }

  const Body& body_;
  const Grid& grid_;
  const TemplateBody& shape_ = template_body();
  Appearance appearance_;
  Couch couch_;
  std::vector<Vec> points_;
  std::vector<float> dx_, dy_, dz_;
  std::vector<const Part*> row_parts_, near_;
};

}  // namespace

Rendered render(const Body& body, double spacing_mm) {
  Rendered result;
  Volume& ct = result.ct;
  ct.id = body.id();
  ct.grid = body.grid(spacing_mm);
  const auto voxels = static_cast<std::size_t>(ct.grid.voxels());
  std::vector<float> hu(voxels);
  result.labels.resize(voxels);
  RowRenderer rows(body, ct.grid);
  for (std::int64_t z = 0; z < ct.grid.size.z; ++z) {
    for (std::int64_t y = 0; y < ct.grid.size.y; ++y) {
      const auto at = static_cast<std::size_t>(ct.grid.offset({0, y, z}));
      rows.render(y, z, hu.data() + at, result.labels.data() + at);
    }
  }
  blur(hu, ct.grid);
  add_scanner_noise(hu, ct.grid, static_cast<float>(body.parameters().noise_hu), body);
  ct.hu.resize(voxels);
  for (std::size_t i = 0; i < voxels; ++i) {
    ct.hu[i] = static_cast<std::int16_t>(std::lround(std::clamp(hu[i], -1024.f, 3071.f)));
  }
  return result;
}

}  // namespace homolog::phantom

#include "volume/affine_grid.h"

#include <algorithm>
#include <cmath>

namespace homolog {
namespace {

using Three = std::array<double, 3>;

Three three(const Point3& p) { return {p.x, p.y, p.z}; }
Three three(const Index3& i) {
  return {static_cast<double>(i.x), static_cast<double>(i.y), static_cast<double>(i.z)};
}
Point3 point(const Three& t) { return {t[0], t[1], t[2]}; }
Index3 rounded(const Three& t) {  // halves to even, as the default rounding mode has it
  return {std::llrint(t[0]), std::llrint(t[1]), std::llrint(t[2])};
}

void place(Affine& a, const Point3& origin) {
  a(0, 3) = origin.x, a(1, 3) = origin.y, a(2, 3) = origin.z;
}

// Columns made orthonormal one after another (Gram-Schmidt): the rotation left of a shear.
Affine orthonormal(const Affine& a) {
  Affine q;
  for (int c = 0; c < 3; ++c) {
    Three v{a(0, c), a(1, c), a(2, c)};
    for (int done = 0; done < c; ++done) {
      const double along = q(0, done) * v[0] + q(1, done) * v[1] + q(2, done) * v[2];
      for (int r = 0; r < 3; ++r) v[static_cast<std::size_t>(r)] -= along * q(r, done);
    }
    const double length = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int r = 0; r < 3; ++r) q(r, c) = v[static_cast<std::size_t>(r)] / length;
  }
  return q;
}

Three kept_or_new(const Point3& present, const Point3& wanted) {
  Three result = three(wanted);
  const Three old = three(present);
  for (std::size_t a = 0; a < 3; ++a) {
    if (result[a] <= 0 || std::abs(old[a] - result[a]) <= 1e-3) result[a] = old[a];
  }
  return result;
}

// The eight corners of an index box; bit 2 is the far end of the first axis.
std::array<Point3, 8> corners(const Three& low, const Three& high) {
  std::array<Point3, 8> result;
  for (unsigned i = 0; i < 8; ++i) {
    result[i] = {(i & 4) != 0 ? high[0] : low[0], (i & 2) != 0 ? high[1] : low[1],
                 (i & 1) != 0 ? high[2] : low[2]};
  }
  return result;
}

struct Extent {
  Three low, high;
};
Extent extent_of(const std::array<Point3, 8>& points) {
  Extent e{three(points[0]), three(points[0])};
  for (const Point3& p : points) {
    const Three t = three(p);
    for (std::size_t a = 0; a < 3; ++a) {
      e.low[a] = std::min(e.low[a], t[a]);
      e.high[a] = std::max(e.high[a], t[a]);
    }
  }
  return e;
}

// The first corner that is the lowest along all axes of the new grid; -1 when it stands askew.
int lowest_corner(const std::array<Point3, 8>& points) {
  const Extent e = extent_of(points);
  for (int i = 0; i < 8; ++i) {
    const Three t = three(points[static_cast<std::size_t>(i)]);
    if (t[0] - e.low[0] <= 1e-8 && t[1] - e.low[1] <= 1e-8 && t[2] - e.low[2] <= 1e-8) return i;
  }
  return -1;
}

// Index of the old grid where the first voxel's centre of the new grid lies.
Point3 first_centre(const Three& n, const Three& m, int corner, bool scale_extent) {
  Three result{};
  for (std::size_t a = 0; a < 3; ++a) {
    const double inwards = scale_extent ? 0.5 * (n[a] / m[a] - 1) : 0;
    const bool far = (static_cast<unsigned>(corner) >> (2 - a) & 1U) != 0;
    result[a] = far ? n[a] - 1 - inwards : inwards;
  }
  return point(result);
}

}  // namespace

AffineGrid network_grid(const Grid& stored) {
  const Index3& n = stored.size;
  const std::array<Index3, 3> unit{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  const Index3 first{n.x - 1, n.y - 1, 0};  // of the stored grid: x and y are flipped
  const Point3 origin = stored.to_world(first);
  AffineGrid result{n, {}};
  for (int c = 0; c < 3; ++c) {
    const Index3& u = unit[static_cast<std::size_t>(c)];
    const Point3 next = stored.to_world(Index3{first.x - u.x, first.y - u.y, first.z + u.z});
    result.to_world(0, c) = -(next.x - origin.x);  // LPS -> RAS
    result.to_world(1, c) = -(next.y - origin.y);
    result.to_world(2, c) = next.z - origin.z;
  }
  place(result.to_world, {-origin.x, -origin.y, origin.z});
  return result;
}

AffineGrid respaced(const AffineGrid& grid, const Respacing& plan) {
  const Three spacing = kept_or_new(grid.to_world.column_lengths(), plan.spacing_mm);
  const Affine turn = plan.diagonal ? Affine{} : orthonormal(grid.to_world);
  AffineGrid result{{}, turn * Affine::scaling(point(spacing))};

  const Three n = three(grid.size);
  const double edge = plan.scale_extent ? 0.5 : 0;
  const Affine to_new = result.to_world.inverse() * grid.to_world;
  auto seen = corners({-edge, -edge, -edge}, {n[0] - 1 + edge, n[1] - 1 + edge, n[2] - 1 + edge});
  for (Point3& p : seen) p = to_new(p);
  const Extent extent = extent_of(seen);
  Three count{};
  for (std::size_t a = 0; a < 3; ++a) {
    count[a] = extent.high[a] - extent.low[a] + (plan.scale_extent ? 0 : 1);
  }
  result.size = rounded(count);
  result.size = {std::max<std::int64_t>(1, result.size.x), std::max<std::int64_t>(1, result.size.y),
                 std::max<std::int64_t>(1, result.size.z)};
  const Three m = three(result.size);
  const int corner = lowest_corner(seen);
  if (corner >= 0) {
    place(result.to_world, grid.to_world(first_centre(n, m, corner, plan.scale_extent)));
    return result;
  }
  // Askew: the middles meet.
  const Point3 middle = grid.to_world(Point3{n[0] / 2, n[1] / 2, n[2] / 2});
  const Point3 half = result.to_world(Point3{m[0] / 2, m[1] / 2, m[2] / 2});
  place(result.to_world, {middle.x - half.x, middle.y - half.y, middle.z - half.z});
  return result;
}

AffineGrid respaced_as_itk(const AffineGrid& grid, const Point3& spacing_mm) {
  const Three old = three(grid.to_world.column_lengths()), wanted = three(spacing_mm);
  Three count = three(grid.size), ratio{};
  for (std::size_t a = 0; a < 3; ++a) {
    count[a] = std::max(1.0, std::rint(count[a] * old[a] / wanted[a]));
    ratio[a] = wanted[a] / old[a];
  }
  return {rounded(count), grid.to_world * Affine::scaling(point(ratio))};
}

AffineGrid rotated(const AffineGrid& grid, const Point3& radians, bool keep_size) {
  const Affine turn = Affine::rotation(radians);
  const Three n = three(grid.size);
  Three m = n;
  if (!keep_size) {
    auto box = corners({0, 0, 0}, n);
    for (Point3& p : box) p = turn(p);
    const Extent extent = extent_of(box);
    for (std::size_t a = 0; a < 3; ++a) m[a] = std::floor(extent.high[a] - extent.low[a] + 0.5);
  }
  const Point3 centre{(n[0] - 1) / 2, (n[1] - 1) / 2, (n[2] - 1) / 2};
  const Point3 back{-(m[0] - 1) / 2, -(m[1] - 1) / 2, -(m[2] - 1) / 2};
  return {rounded(m),
          grid.to_world * Affine::translation(centre) * turn * Affine::translation(back)};
}

AffineGrid resized(const AffineGrid& grid, const Index3& size) {
  const Three n = three(grid.size), m = three(size);
  Three ratio{}, first{};
  for (std::size_t a = 0; a < 3; ++a) {
    ratio[a] = n[a] / m[a];
    first[a] = (ratio[a] - 1) / 2;
  }
  return {size, grid.to_world * Affine::translation(point(first)) * Affine::scaling(point(ratio))};
}

AffineGrid cropped(const AffineGrid& grid, const Box& box) {
  return {size_of(box), grid.to_world * Affine::translation(point(three(box.low)))};
}

Box grown(const Box& box, const Index3& by) noexcept {
  return {{box.low.x - by.x, box.low.y - by.y, box.low.z - by.z},
          {box.high.x + by.x, box.high.y + by.y, box.high.z + by.z}};
}

Box padded_box(const Index3& size, const Index3& wanted) noexcept {
  const auto low = [](std::int64_t n, std::int64_t w) {
    return -std::max<std::int64_t>(0, w - n) / 2;
  };
  const Index3 first{low(size.x, wanted.x), low(size.y, wanted.y), low(size.z, wanted.z)};
  return {first,
          {first.x + std::max(size.x, wanted.x) - 1, first.y + std::max(size.y, wanted.y) - 1,
           first.z + std::max(size.z, wanted.z) - 1}};
}

Index3 size_of(const Box& box) noexcept {
  return {box.high.x - box.low.x + 1, box.high.y - box.low.y + 1, box.high.z - box.low.z + 1};
}

}  // namespace homolog

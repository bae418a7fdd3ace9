// The grid of sampling points is built in slabs along X, so that its three doubles a voxel never
// exist for a whole volume; torch's grid sampler does the reading on any device.
#include "task/transforms/resample.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace homolog::task {
namespace {

constexpr double kSameGrid = 1e-3;                 // MONAI's AFFINE_TOL
constexpr std::int64_t kPointsAtOnce = 4'000'000;  // about 100 MB of coordinates
constexpr std::int64_t kLinear = 0, kNearest = 1;  // of at::grid_sampler
constexpr std::int64_t kPadZeros = 0, kPadBorder = 1;

std::array<std::int64_t, 3> sides_of(const Index3& size) { return {size.x, size.y, size.z}; }

void check(const at::Tensor& image_CXYZ, const AffineGrid& from, const AffineGrid& to) {
  const auto side = sides_of(from.size), wanted = sides_of(to.size);
  const bool fits = image_CXYZ.dim() == 4 && image_CXYZ.size(1) == side[0] &&
                    image_CXYZ.size(2) == side[1] && image_CXYZ.size(3) == side[2];
  if (!fits) {
    std::string has;
    for (const std::int64_t n : image_CXYZ.sizes())
      has += (has.empty() ? "" : "x") + std::to_string(n);
    throw Error(Fault::Data,
                "an image of shape " + has + " does not lie on a grid of " +
                    std::to_string(side[0]) + "x" + std::to_string(side[1]) + "x" +
                    std::to_string(side[2]),
                "give it as channels, X, Y, Z");
  }
  if (*std::min_element(wanted.begin(), wanted.end()) < 1 ||
      *std::min_element(side.begin(), side.end()) < 1) {
    throw Error(Fault::Data, "resampling from or to a grid without voxels");
  }
}

// Index coordinate `axis` of the source for output planes [begin, end): (end - begin, Y, Z).
at::Tensor coordinate(const Affine& map, int axis, const Index3& size, std::int64_t begin,
                      std::int64_t end, const at::TensorOptions& options) {
  const at::Tensor x = at::arange(begin, end, options).view({-1, 1, 1});
  const at::Tensor y = at::arange(size.y, options).view({1, -1, 1});
  const at::Tensor z = at::arange(size.z, options).view({1, 1, -1});
  return x * map(axis, 0) + y * map(axis, 1) + z * map(axis, 2) + map(axis, 3);
}

// 1 where the points of these coordinates count as inside, for the two sharp rules.
at::Tensor inside(const std::array<at::Tensor, 3>& at, const Index3& size, Outside outside) {
  const double reach = outside == Outside::ZeroBeyondEdges ? 0.5 : 1e-9;
  const auto n = sides_of(size);
  at::Tensor result;
  for (std::size_t a = 0; a < 3; ++a) {
    const at::Tensor in = at[a].ge(-reach) & at[a].lt(static_cast<double>(n[a]) - 1 + reach);
    result = result.defined() ? result & in : in;
  }
  return result;
}

}  // namespace

at::Tensor resample(const at::Tensor& image_CXYZ, const AffineGrid& from, const AffineGrid& to,
                    const Sampling& sampling) {
  check(image_CXYZ, from, to);
  const bool nearest = sampling.interpolation == Interpolation::Nearest;
  const at::ScalarType type = nearest ? image_CXYZ.scalar_type() : at::kFloat;
  const Affine map = from.to_world.inverse() * to.to_world;
  if (from.size == to.size && largest_difference(map, Affine{}) <= kSameGrid) {
    return image_CXYZ.to(type).contiguous();
  }
  const at::Tensor source_1CXYZ = image_CXYZ.to(at::kDouble).unsqueeze(0);
  const at::TensorOptions options = source_1CXYZ.options();
  const auto n = sides_of(from.size);
  const bool sharp = sampling.outside == Outside::ZeroBeyondCentres ||
                     sampling.outside == Outside::ZeroBeyondEdges;
  at::Tensor result_CXYZ = at::empty({image_CXYZ.size(0), to.size.x, to.size.y, to.size.z},
                                     image_CXYZ.options().dtype(type));
  const std::int64_t planes =
      std::max<std::int64_t>(1, kPointsAtOnce / std::max<std::int64_t>(1, to.size.y * to.size.z));
  for (std::int64_t begin = 0; begin < to.size.x; begin += planes) {
    const std::int64_t end = std::min(begin + planes, to.size.x);
    std::array<at::Tensor, 3> at_XYZ, normal_XYZ;
    for (std::size_t a = 0; a < 3; ++a) {
      at_XYZ[a] = coordinate(map, static_cast<int>(a), to.size, begin, end, options);
      normal_XYZ[a] = (at_XYZ[a] * 2 + 1) / static_cast<double>(n[a]) - 1;
    }
    // torch names the fastest axis first.
    const at::Tensor grid_1XYZ3 =
        at::stack({normal_XYZ[2], normal_XYZ[1], normal_XYZ[0]}, -1).unsqueeze(0);
    at::Tensor slab_CXYZ =
        at::grid_sampler(source_1CXYZ, grid_1XYZ3, nearest ? kNearest : kLinear,
                         sampling.outside == Outside::Zero ? kPadZeros : kPadBorder,
                         /*align_corners=*/false)
            .squeeze(0);
    if (sharp) slab_CXYZ = slab_CXYZ * inside(at_XYZ, from.size, sampling.outside);
    result_CXYZ.slice(1, begin, end).copy_(slab_CXYZ);
  }
  return result_CXYZ;
}

at::Tensor resize(const at::Tensor& image_CXYZ, const Index3& size, Resizing how,
                  bool align_corners) {
  const auto sides = sides_of(size);
  if (image_CXYZ.dim() != 4 || *std::min_element(sides.begin(), sides.end()) < 1) {
    throw Error(Fault::Data, "resizing takes channels, X, Y, Z and at least one voxel an axis");
  }
  const at::Tensor image_1CXYZ = how == Resizing::Nearest && image_CXYZ.scalar_type() == at::kByte
                                     ? image_CXYZ.unsqueeze(0)
                                     : image_CXYZ.to(at::kFloat).unsqueeze(0);
  switch (how) {
    case Resizing::Trilinear:
      return at::upsample_trilinear3d(image_1CXYZ, sides, align_corners).squeeze(0);
    case Resizing::Nearest:
      return at::upsample_nearest3d(image_1CXYZ, sides).squeeze(0);
    case Resizing::Area:
      break;
  }
  return at::adaptive_avg_pool3d(image_1CXYZ, sides).squeeze(0);
}

}  // namespace homolog::task

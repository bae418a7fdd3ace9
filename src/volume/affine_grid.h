// Where the voxels of an image in network order (X, Y, Z) lie, and the grids that resampling,
// rotation, cropping and reorientation lead to. Geometry alone: task/transforms moves the values.
// Rules are those of MONAI's transforms, so that fine-tuned networks see what MONAI's users feed.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "volume/affine.h"
#include "volume/volume.h"

namespace homolog {

struct AffineGrid {
  Index3 size;      // voxels along the tensor's axes X, Y, Z
  Affine to_world;  // index -> mm, RAS+ unless the caller says otherwise
  bool operator==(const AffineGrid&) const = default;
};

// The grid of a stored volume (LPS, z slowest) after data::to_network's turn: RAS+, (X, Y, Z).
AffineGrid network_grid(const Grid& stored);

struct Respacing {
  Point3 spacing_mm{1, 1, 1};  // <= 0, or within 1e-3 mm of the present one: kept
  bool diagonal = false;       // axes along the world's, positive; else directions are kept
  // Voxel edges, not centres, of first and last voxel stay; the size is rounded without the +1.
  bool scale_extent = false;
};
// As MONAI's Spacing: the first voxel's centre stays, size = round((n - 1) s / t + 1), halves to
// even. With scale_extent the first centre is placed from the rounded size at whichever corner the
// new grid starts (MONAI restores the sign of the old corner's coordinate instead, wrong when the
// centre lies on the other side of 0).
AffineGrid respaced(const AffineGrid& grid, const Respacing& plan);
// As SimpleITK is commonly used: origin and directions stay, size = max(1, round(n s / t)).
AffineGrid respaced_as_itk(const AffineGrid& grid, const Point3& spacing_mm);

// Turned about its centre (Affine::rotation of the index axes). `keep_size` false: as large as the
// turned box, rounded.
AffineGrid rotated(const AffineGrid& grid, const Point3& radians, bool keep_size = true);

// Another number of voxels over the same extent, voxel edges kept.
AffineGrid resized(const AffineGrid& grid, const Index3& size);

// The part of `box` (inclusive); it may reach outside.
AffineGrid cropped(const AffineGrid& grid, const Box& box);
Box grown(const Box& box, const Index3& margin) noexcept;
// The box of at least `wanted` voxels an axis with `size` in its middle, the odd voxel at the far
// end; axes that are long enough stay.
Box padded_box(const Index3& size, const Index3& wanted) noexcept;
Index3 size_of(const Box& box) noexcept;

// New axis a is old axis from[a], reversed where flip[a].
struct AxisOrder {
  std::array<int, 3> from{0, 1, 2};
  std::array<bool, 3> flip{false, false, false};
  bool operator==(const AxisOrder&) const = default;
};
// The letters of the closest world directions: "RAS" where indices grow to the right, front, head.
// The rule is nibabel's: the polar rotation of the map, axes taken in order of their largest part.
std::string axis_code(const Affine& to_world);
// How to reach `code` ("RAS", "LPS", "RAI", ...). Throws Error(Fault::Usage) on another code.
AxisOrder order_to(const Affine& to_world, std::string_view code);
AffineGrid reordered(const AffineGrid& grid, const AxisOrder& order);

}  // namespace homolog

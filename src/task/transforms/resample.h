// One resampler: an image on one grid, its values on another. Spacing, rotation, scaling and any
// other affine change are grids (volume/affine_grid.h); this is where values are read off.
#pragma once

#include <ATen/core/Tensor.h>

#include "volume/affine_grid.h"

namespace homolog::task {

enum class Interpolation { Linear, Nearest };

// What a point has that lies outside the image.
enum class Outside {
  Border,             // the nearest voxel's value (MONAI's default)
  Zero,               // 0, with which the outermost voxel is blended (torch "zeros")
  ZeroBeyondCentres,  // 0 as soon as it leaves the outermost voxels' centres (scipy "constant")
  ZeroBeyondEdges,    // 0 as soon as it leaves the outermost voxels' edges (ITK)
};

struct Sampling {
  Interpolation interpolation = Interpolation::Linear;
  Outside outside = Outside::Border;
};

// `image_CXYZ` lies on `from`; the result (C, X', Y', Z') on `to`, same device, contiguous.
// Coordinates and sums are in double. Linear gives float32; Nearest keeps the type, so that labels
// stay labels. Grids that agree within 1e-3 leave the values as they are. There is no
// "align corners": points are found by their index, and so are the same either way.
// Throws Error(Fault::Data) when `from` is not the image's grid.
at::Tensor resample(const at::Tensor& image_CXYZ, const AffineGrid& from, const AffineGrid& to,
                    const Sampling& sampling = {});

enum class Resizing { Trilinear, Nearest, Area };

// Another number of voxels over the same extent (the grid: volume's resized()). `align_corners`
// (Trilinear alone): the outermost voxels' centres stay instead of their edges. Nearest takes
// floor(i n / m), as torch does; Area is the mean of the voxels that a new one touches.
at::Tensor resize(const at::Tensor& image_CXYZ, const Index3& size, Resizing how,
                  bool align_corners = false);

}  // namespace homolog::task

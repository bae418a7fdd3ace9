// Distances between the surfaces of two masks: Hausdorff (HD100, HD95), average surface distance,
// normalised surface Dice (method.md 6.1). Measured once per pair of masks, scored as often as one
// likes. Surfaces and rules for empty masks are MONAI's.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

namespace homolog::task {

// What a surface is made of.
enum class SurfaceKind {
  Voxels,   // voxels of the mask with one of six neighbours outside it; each counts 1
  Subcell,  // boxes of 2x2x2 voxels that the mask cuts; each counts the area of its cut
};

struct SurfaceElement {
  double distance;  // to the other surface, in the spacing's unit
  double area;
};

// Where one mask is empty, both sides are infinitely far; where both are, both sides are empty.
struct SurfaceDistances {
  std::vector<SurfaceElement> from_prediction;  // to the truth
  std::vector<SurfaceElement> from_truth;       // to the prediction
};

// `predicted_XYZ`, `truth_XYZ`: bool or 0/1, same shape, any device. Beyond the image is outside.
// `spacing`: per axis, > 0. Time is linear in the box around both masks.
// Throws Error(Fault::Data) on masks of other or different shapes, Error(Fault::Usage) on spacing.
SurfaceDistances surface_distances(const at::Tensor& predicted_XYZ, const at::Tensor& truth_XYZ,
                                   const std::array<double, 3>& spacing = {1, 1, 1},
                                   SurfaceKind kind = SurfaceKind::Voxels);

enum class Direction { Both, FromPrediction };

// The distance that `percentile` (0..100) of a side's elements do not exceed, linear between
// elements; Both: the larger of the two sides. 100 is the maximum. Without any surface NaN; with
// one surface missing infinity at 100, and NaN below it.
double hausdorff(const SurfaceDistances& distances, double percentile,
                 Direction direction = Direction::Both);

// Mean over the elements (Both: of both sides together). NaN without surfaces, infinity with one.
double average_surface_distance(const SurfaceDistances& distances,
                                Direction direction = Direction::Both);

// Share of both surfaces' area that lies within `tolerance` of the other. NaN without surfaces, 0
// with one.
double surface_dice(const SurfaceDistances& distances, double tolerance);

}  // namespace homolog::task

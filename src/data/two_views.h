// Two overlapping views of one body for SAM (method.md 7.2): cut, scaled, warped, with noise, and
// the mm coordinate of every voxel. A pure function of volume and random counter.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/counter_rng.h"
#include "base/options.h"
#include "volume/intensity.h"
#include "volume/volume.h"

namespace homolog::data {

struct ViewPlan {
  double spacing_mm = 2;                            // grid of the volumes that views are cut from
  std::vector<std::int64_t> patch_xyz{96, 96, 32};  // voxels
  double scale_low = 0.8, scale_high = 1.2;         // voxel of a view, in grid voxels
  double shared_point = 0.8;                        // chance that both views hold one random point
  std::vector<std::int64_t> margin_xyz{10, 10,
                                       4};  // that point's distance from a view's border, voxels
  double noise_hu = 0.016;  // upper end of the noise's sigma (0.001 of 255 grey levels)
  double elastic_mm = 0,
         elastic_spacing_mm = 40;  // sigma and node distance of a tracked warp; 0: none
  IntensityMap intensity;
};
void declare(Options& options, ViewPlan& plan);  // "data.spacing_mm", ...
void validate(const ViewPlan& plan);             // throws Fault::Usage naming the key

// The part of a scan that views come from: its body box on the plan's grid.
Volume prepare_body(const Volume& scan, const ViewPlan& plan);

struct PatchView {
  at::Tensor image_1ZYX;  // float, intensities of the map
  at::Tensor grid_3ZYX;   // float, mm (x, y, z) from the body volume's first voxel
  at::Tensor valid_1ZYX;  // float, 1 inside the body volume, 0 in the padding
};
struct TwoViews {
  PatchView first, second;
};
TwoViews cut_two_views(const Volume& body, const ViewPlan& plan, CounterRng& rng);

}  // namespace homolog::data

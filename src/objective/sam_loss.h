// SAM's contrastive losses (method.md 7.3): InfoNCE between two views of one body whose voxels
// carry mm coordinates. Pure functions of maps, coordinates and a drawing function.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/options.h"

namespace homolog::objective {

struct SamLossPlan {
  double temperature = 0.5;
  std::int64_t fine_candidates = 2000, fine_points = 100;  // points looked at and kept, per view
  double fine_positive_mm = 2, fine_ignore_mm = 20;
  std::string fine_negatives = "mined";  // mined | random
  std::int64_t fine_negative_candidates = 2000, fine_negatives_used = 500;
  double coarse_positive_mm = 25, coarse_ignore_mm = 5;
  double coarse_dz_mm = 6, coarse_dz_first_mm = 8;  // of view 2 -> 1, and of view 1 -> 2
  std::int64_t coarse_negative_candidates = 250, coarse_negatives_used = 200,
               coarse_other_volumes = 1000;
  std::string excluded = "removed";  // removed | zero (as the reference ranks them, D34)
  double fine_weight = 1, coarse_weight = 1;
};
void declare(Options& options, SamLossPlan& plan);

// k distinct numbers of [0, n) in random order; all n when k >= n.
using Draw = std::function<torch::Tensor(std::int64_t n, std::int64_t k)>;

// One view: maps of unit vectors and the mm coordinates of their cells.
struct SamView {
  torch::Tensor fine_CZYX, coarse_CZYX;
  torch::Tensor fine_mm_3ZYX, coarse_mm_3ZYX;
  torch::Tensor fine_valid_ZYX;  // > 0: may be a query
};

// Reduces voxel coordinates (3,Z,Y,X) and validity (1,Z,Y,X) to the cells of the maps.
SamView sam_view(const torch::Tensor& fine_CZYX, const torch::Tensor& coarse_CZYX,
                 const torch::Tensor& grid_3ZYX, const torch::Tensor& valid_1ZYX);

// 0-dim. Mean over the query points of both directions.
torch::Tensor sam_fine_loss(const SamView& first, const SamView& second, const SamLossPlan& plan,
                            const Draw& draw);

// `others_NC`: coarse vectors of the other pairs of the batch; may have no row.
torch::Tensor sam_coarse_loss(const SamView& first, const SamView& second,
                              const torch::Tensor& others_NC, const SamLossPlan& plan,
                              const Draw& draw);

}  // namespace homolog::objective

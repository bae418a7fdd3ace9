// What both of SAM's losses are made of: distances between cells, choice of negatives, InfoNCE.
#pragma once

#include <torch/types.h>

#include "objective/sam_loss.h"

namespace homolog::objective {

// Distances in mm, [N, M]; coordinates as [N, 3] and [M, 3]. No gradient.
torch::Tensor distances_NM(const torch::Tensor& from_N3, const torch::Tensor& to_M3);

// Cross-entropy of class 0 over [positive, negatives], per row.
torch::Tensor info_nce_N(const torch::Tensor& positive_N, const torch::Tensor& negative_NK,
                         double temperature);

// Of each row, the `candidates` highest of `rank_NM` (excluded ones removed, or ranked as 0), and
// of them `used` at random: indices [N, used].
torch::Tensor hard_negatives(const torch::Tensor& rank_NM, const torch::Tensor& excluded_NM,
                             std::int64_t candidates, std::int64_t used, bool remove,
                             const Draw& draw);

// Similarities of the chosen negatives; what stayed excluded becomes -inf (or 0, when `zero`).
torch::Tensor gather_negatives(const torch::Tensor& similarity_NM, const torch::Tensor& excluded_NM,
                               const torch::Tensor& index_NK, bool remove, bool zero);

}  // namespace homolog::objective

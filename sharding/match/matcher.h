// Homologous points: the voxel of another volume that shows the same anatomy (method.md 7.6).
#pragma once

#include <vector>

#include "sharding/match/embedding.h"

namespace homolog::match {

enum class Mode {
  Exact,    // 7.6 to the letter: floor to the fine cell, arg-max, cell centre back
  Refined,  // default: interpolated query vector, sub-cell parabola around the arg-max
};

struct Match {
  Point3 index;  // continuous voxel index in the key volume, clamped to [0, n-1]
  Index3 voxel;  // rounded (Exact: truncated, as 7.6 step 5)
  double score;  // similarity at the arg-max, -1..1
};

// For each query point (continuous voxel index in the query volume) its match in the key volume.
// Batched: all points share one sweep of the key. Throws Fault::Usage when the embeddings come from
// different SAM weights.
std::vector<Match> match_points(const Embedding& query, const Embedding& key,
                                const std::vector<Point3>& points, Mode mode = Mode::Refined);

}  // namespace homolog::match

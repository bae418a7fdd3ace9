// Homologous points: the voxel of another volume that shows the same anatomy (method.md 7.6).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sharding/match/embedding.h"

namespace homolog::match {

enum class Mode {
  Exact,    // 7.6 to the letter: floor to the fine cell, arg-max, cell centre back
  Refined,  // default: interpolated query vector, sub-cell parabola around the arg-max
  Image,    // as SAM's own tool: similarities interpolated to the key's voxels, arg-max among those
};

inline constexpr const char* kModeHelp =
    "refined: sub-cell; exact: cell by cell as published; image: among the key's voxels, as SAM's "
    "own tool";
// "exact", "refined", "image"; throws std::logic_error otherwise (options check their choices).
Mode mode_named(const std::string& name);

struct Match {
  Point3 index;  // continuous voxel index in the key volume, clamped to [0, n-1]
  Index3 voxel;  // rounded (Exact: truncated, as 7.6 step 5)
  double score;  // similarity at the arg-max, -1..1
};

// For each query point (continuous voxel index in the query volume) its match in the key volume.
// Batched: all points share one sweep of the key. `neighbours` m > 0: the mean of place and score
// over the (2m+1)^3 cells around the point's own, each matched alone (7.6 `multi_pt`); cells beyond
// an edge repeat it. Throws Fault::Usage when the embeddings come from different SAM weights.
std::vector<Match> match_points(const Embedding& query, const Embedding& key,
                                const std::vector<Point3>& points, Mode mode = Mode::Refined,
                                std::int64_t neighbours = 0);

// In embedding space, as SAM's own tool offers it: fine cells of the query to fine cells of the
// key.
struct CellMatch {
  Index3 cell;
  double score = -1;
};
std::vector<CellMatch> match_cells(const Embedding& query, const Embedding& key,
                                   const std::vector<Index3>& cells);

}  // namespace homolog::match

// Similarity of a query point with the cells of a key volume: 1/2 (fine + coarse) (method.md 7.6).
// The coarse half is interpolated as a scalar field and divided by the cached length of the
// interpolated coarse vector, so that no up-sampled coarse map is ever held (performance.md C, D).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sharding/match/embedding.h"
#include "sharding/match/matcher.h"

namespace homolog::match {

// Vectors of P query points, float32, unit length (Exact: fine as stored).
struct QueryVectors {
  at::Tensor fine_PC, coarse_PC;
};
// Continuous fine cell of a voxel index of the query volume, clamped to the grid (D24); whole
// unless Refined.
Point3 query_cell(const Embedding& query, const Point3& point, Mode mode);
QueryVectors cell_vectors(const Embedding& query, const std::vector<Point3>& cells, Mode mode);
// Those of continuous voxel indices.
QueryVectors query_vectors(const Embedding& query, const std::vector<Point3>& points, Mode mode);

// Two neighbours along one axis and the weight of the upper one.
struct Tap {
  std::int64_t low = 0, high = 0;
  float weight = 0;
};

// A key volume, prepared once: coarse map in float32, taps, lengths. Keeps a reference to `key`.
class KeyField {
 public:
  KeyField(const Embedding& key, Mode mode);
  const Index3& cells() const noexcept { return fine_; }
  // Dot products with each coarse cell, [P, coarse cells]: the scalar field to interpolate.
  at::Tensor coarse_field(const at::Tensor& coarse_PC) const;
  // Similarities with fine cells of layers [first, last): [P, (last-first)*H*W], float32.
  at::Tensor layers(const QueryVectors& q, const at::Tensor& field_PK, std::int64_t first,
                    std::int64_t last) const;
  // One cell, one point (row of q and field).
  double at(const QueryVectors& q, const at::Tensor& field_PK, std::int64_t point,
            const Index3& cell) const;

 private:
  void add_coarse(float* out, const float* field, std::int64_t first, std::int64_t last) const;
  float interpolated(const float* field, const Index3& cell) const;
  std::vector<float> neighbour_products() const;
  float squared_length(const std::vector<float>& products, const Index3& at) const;
  void measure_lengths();

  const Embedding& key_;
  Index3 fine_, coarse_;
  at::Tensor coarse_KC_;                  // float32, cells in [z][y][x] order
  std::array<std::vector<Tap>, 3> taps_;  // x, y, z
  std::vector<float> inverse_length_;     // per fine cell
};

}  // namespace homolog::match

// norm_rows.h on a GPU, all maps at once, behind plain pointers, so that no Torch header meets
// nvcc. C++17. Every pointer is device memory, `stream` a cudaStream_t; calls return at once. They
// throw Fault::Environment where a kernel cannot start, or no CUDA is compiled in. Sums go in a
// fixed order: results repeat bit for bit.
#pragma once

#include <cstdint>

#include "base/bf16.h"

namespace homolog {
namespace model {

// Blocks that share a map, each with a part of its voxels.
constexpr std::int64_t kMostParts = 256;
inline std::int64_t parts_of(std::int64_t voxels) {
  constexpr std::int64_t kEach = 8192;
  const std::int64_t parts = (voxels + kEach - 1) / kEach;
  return parts < kMostParts ? parts : kMostParts;
}

// T: float or Bf16. Maps follow each other without gaps.
template <class T>
struct NormMaps {
  std::int64_t maps = 0, voxels = 0, parts = 0;  // voxels of a map, parts_of(voxels)
  float slope = 1, epsilon = 0;
  const T* shortcut = nullptr;  // may be null
  float* rstd = nullptr;        // (maps)
  float* sums = nullptr;        // (maps, parts, 2), scratch
};

// As normalise_row: x in place, and rstd.
void normalise_maps(const NormMaps<float>& maps, float* x, void* stream);
void normalise_maps(const NormMaps<Bf16>& maps, Bf16* x, void* stream);

// As row_gradients. of_shortcut may be null.
template <class T>
struct MapGradients {
  const T *y = nullptr, *of_y = nullptr;
  T *of_x = nullptr, *of_shortcut = nullptr;
};
void map_gradients(const NormMaps<float>& maps, const MapGradients<float>& at, void* stream);
void map_gradients(const NormMaps<Bf16>& maps, const MapGradients<Bf16>& at, void* stream);

}  // namespace model
}  // namespace homolog

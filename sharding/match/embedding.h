// A volume's anatomical embedding: fine and coarse unit vectors per cell (method.md 7.1, 7.5),
// and its file (docs/formats/embedding.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <ATen/core/Tensor.h>

#include "volume/grid.h"

namespace homolog::match {

struct Embedding {
  std::string volume_id;
  std::string content_hash;  // of the volume's voxels, as in the catalogue; may be empty
  std::string sam_hash;      // xxh3 of the SAM weights, 16 hex digits; two must agree to be matched
  Grid volume_grid;          // of the volume the points live in (canonical LPS)
  Grid sam_grid;             // the resampled grid the network saw (2 mm by default)
  at::Tensor fine_CDHW;      // fp16 or fp32, unit length over C; cell = fine_stride SAM voxels
  at::Tensor coarse_CDHW;
  Index3 fine_stride{2, 2, 2};  // SAM voxels per cell (x, y, z)
  Index3 coarse_stride{16, 16, 4};

  Index3 fine_cells() const;  // sides of fine_CDHW, in cells
  Index3 coarse_cells() const;
};

// Atomic. fp16 on disk. Throws Fault::Environment.
void save_embedding(const Embedding& embedding, const std::filesystem::path& file);
// Throws Fault::Data: missing, other version, truncated, checksum.
Embedding load_embedding(const std::filesystem::path& file);

}  // namespace homolog::match

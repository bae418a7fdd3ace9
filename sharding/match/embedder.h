// Volume -> anatomical embedding: SAM's network in one un-tiled pass (method.md 7.5).
// The weights' file carries network options, intensity map and grid, so that nothing else is
// needed.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "sharding/match/embedding.h"
#include "volume/volume.h"

namespace homolog::match {

class Embedder {
 public:
  // `weights`: what `homolog sam train` wrote. Throws Fault::Data: missing, broken, not SAM's.
  explicit Embedder(const std::filesystem::path& weights);
  ~Embedder();
  Embedder(const Embedder&) = delete;
  Embedder& operator=(const Embedder&) = delete;

  // Resamples to the network's grid (2 mm by default) and embeds; fp16 tensors on the host.
  // Throws Fault::Data naming the volume when it is smaller than one coarse cell.
  Embedding embed(const Volume& volume);
  const std::string& sam_hash() const noexcept;  // 16 hex digits; the same in each Embedding
  double spacing_mm() const noexcept;            // of the grid that the network sees
  Index3 cell() const noexcept;  // its coarse cell, the least volume that it can embed, in voxels

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace homolog::match

// The studies that a planner works on, by index: voxels, matches, similarities.
// An interface, so that planning is tested on studies whose homologous points are known.
#pragma once

#include <memory>
#include <vector>

#include "sharding/match/matcher.h"
#include "volume/volume.h"

namespace homolog::shard {

class Studies {
 public:
  virtual ~Studies() = default;
  // Throws Fault::Data when the study cannot be read or embedded. It stays loaded for what follows.
  virtual void check(std::size_t) {}
  virtual std::shared_ptr<const Volume> volume(std::size_t study) = 0;
  // Where each point of study `from` lies in study `to`.
  virtual std::vector<match::Match> match(std::size_t from, std::size_t to,
                                          const std::vector<Point3>& points) = 0;
  // Similarity of point a[i] of study `from` and point b[i] of study `to`, -1..1; symmetric.
  virtual std::vector<double> similarity(std::size_t from, const std::vector<Point3>& a,
                                         std::size_t to, const std::vector<Point3>& b) = 0;
};

}  // namespace homolog::shard

#include "sharding/import/content.h"

#include <algorithm>
#include <array>

#include "base/hash.h"

namespace homolog::import {

std::string content_hash(const Volume& volume) {
  const Index3& n = volume.grid.size;
  const std::array<std::int64_t, 3> size{n.x, n.y, n.z};
  Xxh3 hash;
  hash.update(size.data(), sizeof size)
      .update(volume.hu.data(), volume.hu.size() * sizeof(std::int16_t));
  return hex64(hash.digest());
}

std::string contents_hash(const std::vector<CatalogEntry>& entries) {
  Xxh3 hash;
  for (const auto& e : entries) hash.update(e.content_hash.data(), e.content_hash.size());
  return hex64(hash.digest());
}

void describe(const Volume& volume, CatalogEntry& entry) {
  entry.grid = volume.grid;
  const auto [low, high] = std::minmax_element(volume.hu.begin(), volume.hu.end());
  entry.hu_min = *low;
  entry.hu_max = *high;
  const Box box = body_box(volume);
  const Point3& s = volume.grid.spacing;
  entry.body_extent_mm = {static_cast<double>(box.high.x - box.low.x + 1) * s.x,
                          static_cast<double>(box.high.y - box.low.y + 1) * s.y,
                          static_cast<double>(box.high.z - box.low.z + 1) * s.z};
  entry.content_hash = content_hash(volume);
}

}  // namespace homolog::import

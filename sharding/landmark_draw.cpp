// Rejection by intensity within the box that the margin leaves.
// Drawing in that box is the same as drawing anywhere and rejecting the margin.
#include "sharding/landmark_draw.h"

namespace homolog::shard {

bool can_draw(const Grid& grid) noexcept {
  return grid.size.x > kUpperMargin && grid.size.y > kUpperMargin && grid.size.z > kUpperMargin;
}

Index3 draw_landmark(const Volume& volume, std::int16_t above, CounterRng& rng) {
  const Index3& n = volume.grid.size;
  const auto below = [&rng](std::int64_t bound) {
    return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(bound)));
  };
  Index3 at;
  for (std::int64_t draw = 0; draw < kIntensityDraws; ++draw) {
    at = {kUpperMargin + below(n.x - kUpperMargin), kUpperMargin + below(n.y - kUpperMargin),
          below(n.z - kUpperMargin)};
    if (volume.at(at) > above) break;
  }
  return at;
}

}  // namespace homolog::shard

// Landmark candidates of a volume (method.md 2.4, steps 1 and 2).
// One counter-based stream a landmark, so that landmarks do not depend on each other.
#pragma once

#include "base/counter_rng.h"
#include "volume/volume.h"

namespace homolog::shard {

inline constexpr std::int64_t kUpperMargin = 10;        // voxels, at the upper end of each RAS axis
inline constexpr std::int64_t kIntensityDraws = 10000;  // after these, any intensity will do

// Whether a point may exist at all: each side longer than kUpperMargin.
bool can_draw(const Grid& grid) noexcept;

// A voxel with HU > `above`, uniform among those outside the margin. The margin lies at the upper
// end of the RAS axes, that is at the lower end of the stored LPS x and y. REQUIRES: can_draw().
Index3 draw_landmark(const Volume& volume, std::int16_t above, CounterRng& rng);

}  // namespace homolog::shard

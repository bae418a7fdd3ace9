// HU -> SAM's input intensity (method.md 7.1): clip, stretch to [0, range], shift.
// One struct, because training, embedding and the weights' metadata must agree.
#pragma once

#include <algorithm>

namespace homolog {

struct IntensityMap {
  double low_hu = -1024, high_hu = 3071;
  double range = 255, shift = -50;

  float operator()(float hu) const noexcept {
    const double share = (std::clamp<double>(hu, low_hu, high_hu) - low_hu) / (high_hu - low_hu);
    return static_cast<float>(share * range + shift);
  }
  bool operator==(const IntensityMap&) const = default;
};

}  // namespace homolog

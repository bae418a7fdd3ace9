// The depths of ResNets, by their blocks in each of the four layers (He et al. 2016).
#pragma once

#include <array>
#include <cstdint>

namespace homolog::model::resnet {

constexpr std::size_t kLayers = 4;

struct Depth {
  std::int64_t depth;
  bool bottleneck;
  std::array<std::int64_t, kLayers> blocks;
};

constexpr std::array<Depth, 7> kDepths{{{10, false, {1, 1, 1, 1}},
                                        {18, false, {2, 2, 2, 2}},
                                        {34, false, {3, 4, 6, 3}},
                                        {50, true, {3, 4, 6, 3}},
                                        {101, true, {3, 4, 23, 3}},
                                        {152, true, {3, 8, 36, 3}},
                                        {200, true, {3, 24, 36, 3}}}};

}  // namespace homolog::model::resnet

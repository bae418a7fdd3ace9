// Exact Euclidean distance to the nearest marked cell, for every cell of a box.
// Separable: one scan along the fastest axis, then lower envelopes of parabolas along the others
// (Felzenszwalb and Huttenlocher 2012), so time is linear in the cells and spacing may differ.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace homolog {

using Sides3 = std::array<std::int64_t, 3>;  // cells, slowest axis in memory first

// Squared distance in the spacing's unit, squared; infinity everywhere when nothing is marked.
// REQUIRES: marked.size() == product of sides; spacing (same order as sides) > 0.
std::vector<double> squared_distances(std::span<const std::uint8_t> marked, const Sides3& sides,
                                      const std::array<double, 3>& spacing);

}  // namespace homolog

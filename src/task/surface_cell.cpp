#include "task/surface_cell.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace homolog::task {
namespace {

// Flat pieces of a case, each by its area vector (its area seen along each axis), in eighths of a
// box face.
struct Case {
  unsigned code;
  std::vector<std::array<int, 3>> pieces;
};

const std::array<Case, 13>& cases() {
  static const std::array<Case, 13> written{{
      {1, {{1, 1, 1}}},                         // one corner
      {3, {{4, 4, 0}}},                         // an edge
      {6, {{2, 2, 2}}},                         // two corners across a face
      {24, {{2, 2, 2}}},                        // two corners across the box
      {7, {{4, 0, 0}, {3, 3, 3}}},              // three of a face
      {25, {{0, 4, 4}, {1, 1, 1}}},             // an edge and a corner
      {22, {{3, 3, 3}}},                        // three corners that share no edge
      {15, {{8, 0, 0}}},                        // a face
      {23, {{6, 6, 6}}},                        // a corner and its three neighbours
      {27, {{4, 4, 4}, {0, 2, 2}, {2, 0, 2}}},  // a chain of four round a corner
      {30, {{4, 0, 0}, {4, 4, 4}}},             // three of a face and the corner above the fourth
      {60, {{8, 8, 0}}},                        // two opposite edges
      {105, {{4, 4, 4}}},                       // four corners that share no edge
  }};
  return written;
}

using Axes = std::array<std::size_t, 3>;

// The code after a change of axes: new axis a is old axis axes[a], mirrored where its bit is set.
unsigned moved(unsigned code, const Axes& axes, unsigned mirrored) {
  unsigned result = 0;
  for (unsigned corner = 0; corner < 8; ++corner) {
    if ((code & 128U >> corner) == 0) continue;
    const std::array<unsigned, 3> at{corner >> 2 & 1U, corner >> 1 & 1U, corner & 1U};
    unsigned to = 0;
    for (std::size_t a = 0; a < 3; ++a) to = to << 1 | (at[axes[a]] ^ (mirrored >> a & 1U));
    result |= 128U >> to;
  }
  return result;
}

double area_of(const Case& one, const Axes& axes, const std::array<double, 3>& face) {
  double area = 0;
  for (const auto& piece : one.pieces) {
    double squares = 0;
    for (std::size_t a = 0; a < 3; ++a) {
      const double seen = piece[axes[a]] / 8.0 * face[a];
      squares += seen * seen;
    }
    area += std::sqrt(squares);
  }
  return area;
}

}  // namespace

std::array<double, 256> surface_cell_areas(const std::array<double, 3>& s) {
  const std::array<double, 3> face{s[1] * s[2], s[0] * s[2], s[0] * s[1]};
  std::array<double, 256> areas{};
  for (const Case& one : cases()) {
    Axes axes{0, 1, 2};
    do {
      const double area = area_of(one, axes, face);
      for (unsigned mirrored = 0; mirrored < 8; ++mirrored) {
        const unsigned code = moved(one.code, axes, mirrored);
        areas[code] = areas[255 - code] = area;
      }
    } while (std::next_permutation(axes.begin(), axes.end()));
  }
  return areas;
}

}  // namespace homolog::task

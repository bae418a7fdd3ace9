#include "sharding/import/orientation.h"

#include <algorithm>
#include <cmath>

namespace homolog::import {
namespace {

using Direction = std::array<double, 9>;
using Axes = std::array<int, 3>;

// Which index axis lies closest to each of L, P, S: the assignment with the largest summed cosine,
// so that a volume turned by nearly 45 degrees still uses each axis once.
Axes closest_axes(const Direction& direction) {
  Axes axes{0, 1, 2}, best = axes;
  double best_sum = -1;
  do {
    double sum = 0;
    for (int world = 0; world < 3; ++world) sum += std::abs(direction[world * 3 + axes[world]]);
    if (sum > best_sum + 1e-9) {
      best_sum = sum;
      best = axes;
    }
  } while (std::next_permutation(axes.begin(), axes.end()));
  return best;
}

}  // namespace

std::string orientation_letters(const Direction& direction) {
  constexpr const char* kLetters[3] = {"RL", "AP", "IS"};
  const Axes axes = closest_axes(direction);
  std::string letters(3, '?');
  for (int world = 0; world < 3; ++world) {
    const int axis = axes[world];
    letters[static_cast<std::size_t>(axis)] =
        kLetters[world][direction[world * 3 + axis] > 0 ? 1 : 0];
  }
  return letters;
}

bool is_orthonormal(const Direction& d, double tolerance) {
  for (int a = 0; a < 3; ++a) {
    for (int b = a; b < 3; ++b) {
      const double dot = d[a] * d[b] + d[3 + a] * d[3 + b] + d[6 + a] * d[6 + b];
      if (!(std::abs(dot - (a == b ? 1 : 0)) <= tolerance)) return false;  // also when not a number
    }
  }
  return true;
}

Direction orthonormalised(const Direction& direction) {
  Direction d = direction;
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < a; ++b) {
      const double dot = d[a] * d[b] + d[3 + a] * d[3 + b] + d[6 + a] * d[6 + b];
      for (int row = 0; row < 3; ++row) d[row * 3 + a] -= dot * d[row * 3 + b];
    }
    const double length = std::hypot(d[a], d[3 + a], d[6 + a]);
    for (int row = 0; row < 3; ++row) d[row * 3 + a] /= length;
  }
  for (double& value : d) {
    if (value == 0) value = 0;  // no negative zeros in what is written
  }
  return d;
}

Scan canonical(Scan scan) {
  const Grid& from = scan.grid;
  const Axes axes = closest_axes(from.direction);
  const std::array<std::int64_t, 3> size{from.size.x, from.size.y, from.size.z};
  const std::array<double, 3> spacing{from.spacing.x, from.spacing.y, from.spacing.z};
  const std::array<std::int64_t, 3> stride{1, size[0], size[0] * size[1]};
  Grid to = from;
  std::array<std::int64_t, 3> new_size{}, step{}, corner{};
  std::array<double, 3> new_spacing{};
  std::int64_t first = 0;
  for (int world = 0; world < 3; ++world) {
    const int axis = axes[world];
    const bool flip = from.direction[world * 3 + axis] < 0;
    new_size[world] = size[axis];
    new_spacing[world] = spacing[axis];
    step[world] = flip ? -stride[axis] : stride[axis];
    corner[axis] = flip ? size[axis] - 1 : 0;
    first += corner[axis] * stride[axis];
    for (int row = 0; row < 3; ++row) {
      const double cosine = from.direction[row * 3 + axis];
      to.direction[row * 3 + world] = cosine == 0 ? 0 : flip ? -cosine : cosine;
    }
  }
  to.origin = from.to_world(Index3{corner[0], corner[1], corner[2]});
  to.size = {new_size[0], new_size[1], new_size[2]};
  to.spacing = {new_spacing[0], new_spacing[1], new_spacing[2]};
  if (first == 0 && step == stride) {  // already canonical
    scan.grid = to;
    return scan;
  }
  std::vector<std::int16_t> hu(scan.hu.size());
  std::int16_t* out = hu.data();
  for (std::int64_t z = 0; z < new_size[2]; ++z) {
    for (std::int64_t y = 0; y < new_size[1]; ++y) {
      std::int64_t at = first + z * step[2] + y * step[1];
      for (std::int64_t x = 0; x < new_size[0]; ++x, at += step[0])
        *out++ = scan.hu[static_cast<std::size_t>(at)];
    }
  }
  return {to, std::move(hu)};
}

}  // namespace homolog::import

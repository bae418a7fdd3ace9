// Axis codes: which world direction each index axis follows, and the permutation to another code.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "volume/affine_grid.h"

namespace homolog {
namespace {

constexpr std::string_view kPositive = "RAS", kNegative = "LPI";

struct Direction {
  int world = 0;  // 0 right-left, 1 front-back, 2 head-foot
  bool negative = false;
};
using Directions = std::array<Direction, 3>;  // of the index axes

// The rotation next to `a` (orthogonal polar factor), by Newton's iteration X <- (X + X^-T) / 2.
Affine polar_rotation(const Affine& a) {
  const Point3 length = a.column_lengths();
  Affine x = a * Affine::scaling({1 / length.x, 1 / length.y, 1 / length.z});
  for (int r = 0; r < 3; ++r) x(r, 3) = 0;
  for (int step = 0; step < 60; ++step) {
    const Affine inverse = x.inverse();
    Affine next;
    for (int r = 0; r < 3; ++r) {
      for (int c = 0; c < 3; ++c) next(r, c) = 0.5 * (x(r, c) + inverse(c, r));
    }
    const bool settled = largest_difference(next, x) < 1e-14;
    x = next;
    if (settled) break;
  }
  return x;
}

Directions directions_of(const Affine& to_world) {
  Affine r = polar_rotation(to_world);
  const auto largest = [&](int c) {
    return std::max({std::abs(r(0, c)), std::abs(r(1, c)), std::abs(r(2, c))});
  };
  std::array<int, 3> by_clarity{0, 1, 2};
  const std::array<double, 3> clarity{largest(0), largest(1), largest(2)};
  std::stable_sort(by_clarity.begin(), by_clarity.end(), [&](int a, int b) {
    return clarity[static_cast<std::size_t>(a)] > clarity[static_cast<std::size_t>(b)];
  });
  Directions result;
  for (const int c : by_clarity) {
    int world = 0;
    for (int row = 1; row < 3; ++row) {
      if (std::abs(r(row, c)) > std::abs(r(world, c))) world = row;
    }
    result[static_cast<std::size_t>(c)] = {world, r(world, c) < 0};
    for (int column = 0; column < 3; ++column) r(world, column) = 0;  // taken
  }
  return result;
}

Directions directions_of(std::string_view code) {
  Directions result;
  std::array<bool, 3> taken{};
  bool sound = code.size() == 3;
  for (std::size_t i = 0; sound && i < 3; ++i) {
    const auto up = kPositive.find(code[i]), down = kNegative.find(code[i]);
    const auto world = std::min(up, down);
    sound = world != std::string_view::npos && !taken[world];
    if (!sound) break;
    taken[world] = true;
    result[i] = {static_cast<int>(world), down != std::string_view::npos};
  }
  if (!sound) {
    throw Error(Fault::Usage, "\"" + std::string(code) + "\" is no axis code",
                "name each axis once: R or L, A or P, S or I, for example RAS");
  }
  return result;
}

}  // namespace

std::string axis_code(const Affine& to_world) {
  std::string code;
  for (const Direction& d : directions_of(to_world)) {
    code += (d.negative ? kNegative : kPositive)[static_cast<std::size_t>(d.world)];
  }
  return code;
}

AxisOrder order_to(const Affine& to_world, std::string_view code) {
  const Directions have = directions_of(to_world), want = directions_of(code);
  AxisOrder order;
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t old = 0; old < 3; ++old) {
      if (have[old].world != want[a].world) continue;
      order.from[a] = static_cast<int>(old);
      order.flip[a] = have[old].negative != want[a].negative;
    }
  }
  return order;
}

AffineGrid reordered(const AffineGrid& grid, const AxisOrder& order) {
  const std::array<std::int64_t, 3> n{grid.size.x, grid.size.y, grid.size.z};
  std::array<std::int64_t, 3> size{};
  Affine to_old;  // new index -> old index
  for (int a = 0; a < 3; ++a) {
    const auto at = static_cast<std::size_t>(a);
    const int old = order.from[at];
    size[at] = n[static_cast<std::size_t>(old)];
    for (int c = 0; c < 3; ++c) to_old(old, c) = 0;
    to_old(old, a) = order.flip[at] ? -1 : 1;
    to_old(old, 3) = order.flip[at] ? static_cast<double>(size[at] - 1) : 0;
  }
  return {{size[0], size[1], size[2]}, grid.to_world * to_old};
}

}  // namespace homolog

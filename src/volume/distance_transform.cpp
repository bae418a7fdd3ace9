#include "volume/distance_transform.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace homolog {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

// Squared distance along one line to its nearest mark: there and back.
void scan_line(const std::uint8_t* marked, std::int64_t n, double spacing, double* out) {
  std::int64_t last = -1;
  for (std::int64_t i = 0; i < n; ++i) {
    if (marked[i] != 0) last = i;
    const double away = static_cast<double>(i - last) * spacing;
    out[i] = last < 0 ? kFar : away * away;
  }
  last = -1;
  for (std::int64_t i = n - 1; i >= 0; --i) {
    if (marked[i] != 0) last = i;
    if (last < 0) continue;
    const double away = static_cast<double>(last - i) * spacing;
    out[i] = std::min(out[i], away * away);
  }
}

// The parabolas (x - v)^2 + height(v) that are lowest somewhere, from left to right.
class Envelope {
 public:
  explicit Envelope(std::int64_t longest)
      : at_(static_cast<std::size_t>(longest)),
        height_(static_cast<std::size_t>(longest)),
        from_(static_cast<std::size_t>(longest)) {}

  // Replaces heights[i], i < n, by min over v of (spacing (i - v))^2 + heights[v].
  void lower(std::vector<double>& heights, std::int64_t n, double spacing) {
    std::size_t count = 0;
    for (std::int64_t v = 0; v < n; ++v) {
      const double height = heights[static_cast<std::size_t>(v)];
      if (height == kFar) continue;
      double from = -kFar;
      while (count > 0) {
        from = crossing(count - 1, v, height, spacing);
        if (from > from_[count - 1]) break;
        --count;
      }
      if (count == 0) from = -kFar;
      at_[count] = v, height_[count] = height, from_[count] = from;
      ++count;
    }
    if (count == 0) return;
    std::size_t k = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      while (k + 1 < count && from_[k + 1] < static_cast<double>(i)) ++k;
      const double away = static_cast<double>(i - at_[k]) * spacing;
      heights[static_cast<std::size_t>(i)] = away * away + height_[k];
    }
  }

 private:
  // Where the parabola at v becomes lower than the k-th.
  double crossing(std::size_t k, std::int64_t v, double height, double spacing) const {
    const double between = static_cast<double>(v - at_[k]), sum = static_cast<double>(v + at_[k]);
    return 0.5 * (sum + (height - height_[k]) / (spacing * spacing * between));
  }

  std::vector<std::int64_t> at_;
  std::vector<double> height_, from_;
};

}  // namespace

std::vector<double> squared_distances(std::span<const std::uint8_t> marked, const Sides3& sides,
                                      const std::array<double, 3>& spacing) {
  const auto [slow, middle, fast] = sides;
  std::vector<double> result(marked.size());
  for (std::int64_t line = 0; line < slow * middle; ++line) {
    scan_line(marked.data() + line * fast, fast, spacing[2], result.data() + line * fast);
  }
  const std::int64_t longest = std::max(slow, middle);
  Envelope envelope(longest);
  std::vector<double> column(static_cast<std::size_t>(longest));
  // Lines along the middle axis of each slab, then along the slow axis through all slabs.
  const auto lower_all = [&](double* first, std::int64_t n, std::int64_t stride, double unit) {
    for (std::int64_t i = 0; i < n; ++i) column[static_cast<std::size_t>(i)] = first[i * stride];
    envelope.lower(column, n, unit);
    for (std::int64_t i = 0; i < n; ++i) first[i * stride] = column[static_cast<std::size_t>(i)];
  };
  for (std::int64_t s = 0; s < slow; ++s) {
    double* slab = result.data() + s * middle * fast;
    for (std::int64_t f = 0; f < fast; ++f) lower_all(slab + f, middle, fast, spacing[1]);
  }
  for (std::int64_t cell = 0; cell < middle * fast; ++cell) {
    lower_all(result.data() + cell, slow, middle * fast, spacing[0]);
  }
  return result;
}

}  // namespace homolog

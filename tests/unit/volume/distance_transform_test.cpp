// Claims about distances: exact against a search through all marks, whatever the spacing.
#include "volume/distance_transform.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/counter_rng.h"

namespace homolog {
namespace {

std::vector<double> searched(const std::vector<std::uint8_t>& marked, const Sides3& n,
                             const std::array<double, 3>& spacing) {
  std::vector<double> result(marked.size(), INFINITY);
  const auto cells = static_cast<std::int64_t>(marked.size());
  const auto at = [&](std::int64_t i) {
    return std::array<std::int64_t, 3>{i / (n[1] * n[2]), i / n[2] % n[1], i % n[2]};
  };
  for (std::int64_t i = 0; i < cells; ++i) {
    for (std::int64_t j = 0; j < cells; ++j) {
      if (marked[static_cast<std::size_t>(j)] == 0) continue;
      double sum = 0;
      for (std::size_t a = 0; a < 3; ++a) {
        const double away = static_cast<double>(at(i)[a] - at(j)[a]) * spacing[a];
        sum += away * away;
      }
      double& best = result[static_cast<std::size_t>(i)];
      best = std::min(best, sum);
    }
  }
  return result;
}

TEST(DistanceTransform, EqualsASearchThroughAllMarks) {
  const Sides3 shapes[] = {{7, 9, 11}, {1, 1, 13}, {13, 1, 1}, {1, 12, 1}, {5, 16, 2}};
  const std::array<double, 3> spacings[] = {{1, 1, 1}, {1.5, 1, 2}, {0.7, 0.7, 5}, {3, 0.01, 1}};
  std::uint64_t trial = 0;
  for (const Sides3& n : shapes) {
    for (const auto& spacing : spacings) {
      for (const std::uint64_t marks_in_hundred : {1, 10, 60}) {
        CounterRng rng(11, "marks", ++trial);
        std::vector<std::uint8_t> marked(static_cast<std::size_t>(n[0] * n[1] * n[2]));
        for (auto& m : marked) m = rng.below(100) < marks_in_hundred ? 1 : 0;
        marked[static_cast<std::size_t>(rng.below(marked.size()))] = 1;
        const auto got = squared_distances(marked, n, spacing);
        const auto want = searched(marked, n, spacing);
        for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-9 * want[i]);
      }
    }
  }
}

TEST(DistanceTransform, IsInfiniteWithoutMarks) {
  for (const double d : squared_distances(std::vector<std::uint8_t>(24), {2, 3, 4}, {1, 1, 1})) {
    EXPECT_TRUE(std::isinf(d));
  }
}

}  // namespace
}  // namespace homolog

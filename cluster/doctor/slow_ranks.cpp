#include "cluster/doctor/slow_ranks.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace homolog::doctor {
namespace {

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace

std::vector<SlowRank> slow_ranks(std::span<const double> per_rank, Better better, double margin) {
  std::vector<SlowRank> slow;
  for (std::size_t i = 0; i < per_rank.size(); ++i) {
    if (!std::isfinite(per_rank[i])) continue;
    std::vector<double> others;
    double sum = 0, squares = 0;
    for (std::size_t j = 0; j < per_rank.size(); ++j) {
      if (j == i || !std::isfinite(per_rank[j])) continue;
      others.push_back(per_rank[j]);
      sum += per_rank[j];
    }
    if (others.empty()) continue;
    const double count = static_cast<double>(others.size()), mean = sum / count;
    for (const double value : others) squares += (value - mean) * (value - mean);
    const double sigma = std::sqrt(squares / count), median = median_of(others);
    const bool higher = better == Better::Higher;
    const double behind = higher ? mean - per_rank[i] : per_rank[i] - mean;
    const double fraction = higher ? per_rank[i] / median : median / per_rank[i];
    if (!(behind > sigma) || !(fraction < 1 - margin)) continue;
    slow.push_back({static_cast<int>(i), per_rank[i], median,
                    sigma > 0 ? behind / sigma : std::numeric_limits<double>::infinity(),
                    fraction});
  }
  std::sort(slow.begin(), slow.end(),
            [](const SlowRank& a, const SlowRank& b) { return a.fraction < b.fraction; });
  return slow;
}

}  // namespace homolog::doctor

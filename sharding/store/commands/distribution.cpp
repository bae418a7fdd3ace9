#include "sharding/store/commands/distribution.h"

#include <algorithm>

namespace homolog::store {

Distribution distribution_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {static_cast<std::int64_t>(values.size()), values.front(), values[values.size() / 2],
          values.back()};
}

nlohmann::ordered_json to_json(const Distribution& d) {
  return {{"count", d.count}, {"min", d.min}, {"median", d.median}, {"max", d.max}};
}

void Histogram::add(double value, std::int64_t times) {
  const double bins = static_cast<double>(counts_.size());
  const double at = (value - low_) / (high_ - low_) * bins;
  counts_[static_cast<std::size_t>(std::clamp(at + 1e-5, 0.0, bins - 1))] += times;
}

Histogram score_histogram() { return {-1, 1, 20}; }

nlohmann::ordered_json Histogram::to_json() const {
  return {{"low", low_}, {"high", high_}, {"counts", counts_}};
}

}  // namespace homolog::store

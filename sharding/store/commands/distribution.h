// Numbers in brief: smallest, middle, largest, and how they fall into bins of equal width.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

namespace homolog::store {

struct Distribution {
  std::int64_t count = 0;
  double min = 0, median = 0, max = 0;  // the upper median of an even count; 0 without values
};
Distribution distribution_of(std::vector<double> values);
nlohmann::ordered_json to_json(const Distribution& distribution);

// Values outside [low, high] count in the outermost bins; a value at an edge, or a
// hundred-thousandth of a bin below it, in the bin above: scores are float32, and 0.9F is a little
// below 0.9.
class Histogram {
 public:
  Histogram(double low, double high, std::size_t bins) : low_(low), high_(high), counts_(bins) {}
  void add(double value, std::int64_t times = 1);
  // {"low", "high", "counts"}: bin i is [low + i w, low + (i + 1) w).
  nlohmann::ordered_json to_json() const;
  const std::vector<std::int64_t>& counts() const noexcept { return counts_; }

 private:
  double low_, high_;
  std::vector<std::int64_t> counts_;
};

// Empty, in tenths from -1 to 1: every command counts scores in the same bins.
Histogram score_histogram();

}  // namespace homolog::store

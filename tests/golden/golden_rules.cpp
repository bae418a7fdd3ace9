#include "golden_rules.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace homolog::golden {
namespace {

double pair_error(double got, double want) {
  if (got == want || (std::isnan(got) && std::isnan(want))) return 0;
  if (!std::isfinite(got) || !std::isfinite(want)) return kUnbounded;
  return std::abs(got - want);
}

double largest_finite(const std::vector<double>& values) {
  double top = 0;
  for (const double v : values) {
    if (std::isfinite(v)) top = std::max(top, std::abs(v));
  }
  return top;
}

// Where the stored side is all zeros nothing is relative: rounding noise alone may differ.
double over(double error, double size, double noise) {
  if (size > 0) return error / size;
  return error <= noise ? error : kUnbounded;
}

}  // namespace

Rule Rule::read(const nlohmann::json& tolerances, const std::string& tensor) {
  Rule rule;
  if (!tolerances.contains(tensor)) return rule;
  const nlohmann::json& spec = tolerances.at(tensor);
  rule.name = spec.at(0);
  rule.tolerance = spec.at(1);
  if (spec.size() > 2) rule.floor = spec.at(2);
  if (rule.name != "max" && rule.name != "elem" && rule.name != "frac" && rule.name != "exact")
    throw Error(Fault::Data, "the fixture compares " + tensor + " by an unknown rule: " + rule.name,
                "known rules: max, elem, frac, exact");
  return rule;
}

Deviation deviation(const Rule& rule, const std::vector<double>& got,
                    const std::vector<double>& want) {
  const double top = largest_finite(want);
  Deviation out;
  std::size_t off = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    double error = pair_error(got[i], want[i]);
    const auto at = static_cast<std::int64_t>(i);
    if (error == kUnbounded) return {kUnbounded, at};
    if (rule.name == "frac") {
      if (error > 1e-4 * top && off++ == 0) out.worst = at;
      continue;
    }
    if (rule.name == "exact")
      error = error == 0 ? 0 : 1;
    else if (rule.name == "elem")
      error = over(error,
                   std::max(std::isfinite(want[i]) ? std::abs(want[i]) : 0, rule.floor * top), 0);
    else
      error = over(error, top, 1e-12);
    if (error > out.size) out = {error, at};
  }
  if (rule.name == "frac" && !want.empty())
    out.size = static_cast<double>(off) / static_cast<double>(want.size());
  return out;
}

double stats_deviation(const std::vector<double>& got, const std::vector<double>& stats) {
  const auto n = static_cast<double>(got.size());
  if (n != stats.at(5) || got.empty()) return kUnbounded;
  double sum = 0, squares = 0, low = got[0], high = got[0];
  for (const double v : got) {
    if (!std::isfinite(v)) return kUnbounded;
    sum += v, squares += v * v, low = std::min(low, v), high = std::max(high, v);
  }
  const double mean = sum / n;
  double spread = 0;
  for (const double v : got) spread += (v - mean) * (v - mean);
  const double tiny = 1e-300, top = std::max({std::abs(stats[3]), std::abs(stats[4]), tiny});
  return std::max({std::abs(mean - stats[0]) / top,
                   std::abs(std::sqrt(spread / n) - stats[1]) / top, std::abs(low - stats[3]) / top,
                   std::abs(high - stats[4]) / top,
                   std::abs(std::sqrt(squares) - stats[2]) / std::max(stats[2], tiny)});
}

}  // namespace homolog::golden

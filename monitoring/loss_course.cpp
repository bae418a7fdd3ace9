#include "monitoring/loss_course.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace homolog::monitoring {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kWindow = 50;  // steps of the running median
constexpr std::size_t kFewest = 10;  // a median over fewer steps is not trusted
constexpr double kSpike = 3;         // medians
constexpr double kCollapsed = 1e-4;  // of the term's level in the first tenth
constexpr double kNearChance = 0.9, kBelowChance = 0.8;

double mean(const std::vector<double>& values, std::size_t begin, std::size_t end) {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t i = begin; i < end; ++i) {
    if (std::isfinite(values[i])) sum += values[i], ++count;
  }
  return count == 0 ? kNone : sum / static_cast<double>(count);
}

double median_before(const std::vector<double>& values, std::size_t at) {
  std::vector<double> window;
  for (std::size_t i = at; i-- > 0 && window.size() < kWindow;) {
    if (std::isfinite(values[i])) window.push_back(values[i]);
  }
  if (window.size() < kFewest) return kNone;
  const auto middle = window.begin() + static_cast<std::ptrdiff_t>(window.size() / 2);
  std::nth_element(window.begin(), middle, window.end());
  return *middle;
}

struct Best {
  double value = kNone;
  std::size_t end = 0;
};
Best lowest_tenth(const std::vector<double>& values, std::size_t tenth) {
  Best best;
  double sum = 0;
  std::int64_t count = 0;
  const auto take = [&](double value, int sign) {
    if (std::isfinite(value)) sum += sign * value, count += sign;
  };
  for (std::size_t end = 1; end <= values.size(); ++end) {
    take(values[end - 1], 1);
    if (end > tenth) take(values[end - 1 - tenth], -1);
    const double value = count > 0 ? sum / static_cast<double>(count) : kNone;
    if (end >= tenth && std::isfinite(value) && !(value >= best.value)) best = {value, end};
  }
  return best;
}

std::string steepest_term(const LossCurve& curve, std::size_t at) {
  std::string name;
  double most = 0;
  for (const auto& [term, values] : curve.terms) {
    if (term == "acc") continue;
    const double rise = values[at] - median_before(values, at);
    if (rise > most) most = rise, name = term;
  }
  return name;
}

void find_spikes(const LossCurve& curve, LossCourse& course) {
  std::size_t largest = 0;
  for (std::size_t i = 0; i < curve.total.size(); ++i) {
    const double median = median_before(curve.total, i);
    if (!(median > 0) || !(curve.total[i] > kSpike * median)) continue;
    if (++course.spikes > 1 && curve.total[i] <= course.spike) continue;
    course.spike = curve.total[i];
    course.spike_ratio = curve.total[i] / median;
    largest = i;
  }
  if (course.spikes == 0) return;
  course.spike_step = curve.steps[largest];
  course.spike_term = steepest_term(curve, largest);
}

// From where the term first counts, for a schedule may begin it late.
std::int64_t steps_at_zero(const std::vector<double>& values, std::size_t tenth) {
  const auto counts = [](double v) { return std::isfinite(v) && v != 0; };
  const auto begin =
      static_cast<std::size_t>(std::find_if(values.begin(), values.end(), counts) - values.begin());
  if (begin == values.size()) return static_cast<std::int64_t>(values.size());
  const double level = std::abs(mean(values, begin, std::min(values.size(), begin + tenth)));
  return std::count_if(values.begin() + static_cast<std::ptrdiff_t>(begin), values.end(),
                       [=](double v) { return std::abs(v) < kCollapsed * level; });
}

}  // namespace

LossCourse loss_course(const LossCurve& curve, const std::map<std::string, double>& chance) {
  LossCourse course;
  const std::size_t count = curve.total.size(), tenth = std::max<std::size_t>(1, count / 10);
  course.first = mean(curve.total, 0, std::min(tenth, count));
  course.last = mean(curve.total, count - std::min(tenth, count), count);
  const Best best = lowest_tenth(curve.total, tenth);
  course.best = best.value;
  course.best_step = best.end > 0 ? curve.steps[best.end - 1] : 0;
  find_spikes(curve, course);
  if (count < 2 * kFewest) return course;
  for (const auto& [name, values] : curve.terms) {
    if (name == "acc") continue;
    const auto zeros = steps_at_zero(values, tenth);
    if (zeros >= static_cast<std::int64_t>(std::max(kFewest, tenth)))
      course.collapsed.push_back({name, zeros});
    const auto guess = chance.find(name);
    if (guess == chance.end()) continue;
    const double last = mean(values, count - tenth, count);
    const Best lowest = lowest_tenth(values, tenth);
    if (last >= kNearChance * guess->second && lowest.value < kBelowChance * guess->second)
      course.guessing.push_back({name, last, lowest.value, curve.steps[lowest.end - 1]});
  }
  return course;
}

}  // namespace homolog::monitoring

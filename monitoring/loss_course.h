// What the loss did from the first step to the last: whether it fell, where it jumped, which of its
// terms collapsed. Pure over the steps' values; the thresholds are rules of thumb
// (loss_course.cpp).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace homolog::monitoring {

struct LossCurve {
  std::vector<std::int64_t> steps;
  std::vector<double> total;                         // NaN: a skipped step
  std::map<std::string, std::vector<double>> terms;  // each as long as `steps`; NaN: not given
};

struct CollapsedTerm {
  std::string name;
  std::int64_t steps;  // in how many it was practically 0
};

struct GuessingTerm {
  std::string name;
  double last;  // mean over the last tenth
  double best;  // lowest mean of a tenth
  std::int64_t best_step;
};

struct LossCourse {
  double first = 0, last = 0;  // means over the first and the last tenth; NaN without a loss
  double best = 0;             // lowest mean of a tenth
  std::int64_t best_step = 0;  // where that tenth ends
  std::int64_t spikes = 0;     // steps above 3 times the running median
  std::int64_t spike_step = 0;
  double spike = 0, spike_ratio = 0;  // the largest, and how many medians that is
  std::string spike_term;             // that rose most in it; "" when none is known
  std::vector<CollapsedTerm> collapsed;
  std::vector<GuessingTerm> guessing;
};

// `chance`: per term the loss of a guess, as ln(outputs) of a cross-entropy; terms without one are
// not compared. "acc" is a share, not a loss: it is left out.
LossCourse loss_course(const LossCurve& curve, const std::map<std::string, double>& chance);

}  // namespace homolog::monitoring

// Which ranks are slower than their peers. Pure.
#pragma once

#include <span>
#include <vector>

namespace homolog::doctor {

enum class Better { Higher, Lower };

struct SlowRank {
  int rank = 0;
  double value = 0, others_median = 0;
  double sigmas = 0;  // behind the others' mean, in their standard deviations; infinite: no spread
  double fraction = 0;  // of the others' speed: 0.5 is half as fast
};

// A rank is slow when it lies more than one standard deviation behind the mean of the *others* and
// its speed is below `1 - margin` of their median. Leaving the rank itself out keeps one straggler
// from hiding in the spread that it makes; the margin decides where few ranks make sigma mean
// little (of two ranks one is always the slower). NaN: not measured, left out. Slowest first.
std::vector<SlowRank> slow_ranks(std::span<const double> per_rank, Better better, double margin);

}  // namespace homolog::doctor

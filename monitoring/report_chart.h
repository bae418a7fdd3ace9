// One line chart as inline SVG, with the live page's colours, axes and ticks.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace homolog::monitoring {

struct Series {
  std::string name;
  int color;  // of the page's colours --c0 to --c5; beyond them it starts anew
  std::vector<std::pair<double, double>> points = {};  // step, value
  bool dots = false;
};

// A section with title, legend (of more than one series) and axes; x is the step. "" when no series
// has a value.
std::string chart(const std::string& title, std::vector<Series> all);

std::string html_escaped(const std::string& text);

}  // namespace homolog::monitoring

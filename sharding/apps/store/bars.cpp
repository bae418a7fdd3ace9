#include "sharding/apps/store/bars.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace homolog::store_app {
namespace {
constexpr double kLongest = 40;  // letters
}

std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void print_bars(const nlohmann::ordered_json& histogram, const char* format) {
  const auto counts = histogram["counts"].get<std::vector<std::int64_t>>();
  const double low = histogram["low"], high = histogram["high"];
  const double width = (high - low) / static_cast<double>(counts.size());
  const std::int64_t most = *std::max_element(counts.begin(), counts.end());
  std::size_t first = 0, last = counts.size();
  while (first < last && counts[first] == 0) ++first;
  while (last > first && counts[last - 1] == 0) --last;
  for (std::size_t b = first; b < last; ++b) {
    const auto at = [&](std::size_t edge) {
      return number(format, low + static_cast<double>(edge) * width);
    };
    const double share = static_cast<double>(counts[b]) / static_cast<double>(most);
    std::printf("  %s to %s %9lld %s\n", at(b).c_str(), at(b + 1).c_str(),
                static_cast<long long>(counts[b]),
                std::string(static_cast<std::size_t>(std::ceil(kLongest * share)), '#').c_str());
  }
}

std::string range_text(const nlohmann::ordered_json& d, const char* format) {
  if (d["count"] == 0) return "none";
  return "min " + number(format, d["min"]) + ", median " + number(format, d["median"]) + ", max " +
         number(format, d["max"]);
}

}  // namespace homolog::store_app

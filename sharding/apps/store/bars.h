// Histograms as text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace homolog::store_app {

// A line a bin, "  -0.1 to  0.0       12 ####", of {"low", "high", "counts"}; empty bins at both
// ends are left out. `format` is printf's, of one edge.
void print_bars(const nlohmann::ordered_json& histogram, const char* format);
// "min 0.10, median 0.52, max 0.97" of {"min", "median", "max"}.
std::string range_text(const nlohmann::ordered_json& distribution, const char* format);
// printf's, of one number.
std::string number(const char* format, double value);

}  // namespace homolog::store_app

#include "base/byte_count.h"

#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"

namespace homolog {
namespace {

// In small or large letters. 0: no unit of bytes.
double unit_of(std::string unit) {
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (unit.empty() || unit == "B") return 1;
  const auto power = std::string("KMGTP").find(unit.front());
  if (power == std::string::npos) return 0;
  const std::string rest = unit.substr(1);
  if (rest.empty() || rest == "IB") return std::pow(1024.0, static_cast<double>(power) + 1);
  return rest == "B" ? std::pow(1000.0, static_cast<double>(power) + 1) : 0;
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit < 5; ++unit) value /= 1024;
  char text[40];
  std::snprintf(text, sizeof text,
                unit == 0    ? "%.0f %s"
                : value < 10 ? "%.2f %s"
                             : "%.1f %s",
                value, kUnits[unit]);
  return text;
}

std::uint64_t bytes_of(const std::string& key, const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string unit = end;
  while (!unit.empty() && unit.front() == ' ') unit.erase(0, 1);
  const double size = end == text.c_str() ? 0 : unit_of(unit);
  const double bytes = number * size;
  if (!(size > 0 && !std::signbit(number) && bytes < 9e18)) {
    throw Error(Fault::Usage, key + ": \"" + text + "\" is no number of bytes",
                "write it as 200GiB, 1.5TiB or 500MB");
  }
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace homolog

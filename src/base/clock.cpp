#include "base/clock.h"

#include <cmath>
#include <cstdio>
#include <ctime>

namespace homolog {

double Stopwatch::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

double Stopwatch::lap() {
  const double elapsed = seconds();
  start_ = std::chrono::steady_clock::now();
  return elapsed;
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string utc_timestamp() {
  const double now = unix_seconds();
  const std::time_t whole = static_cast<std::time_t>(now);
  std::tm parts{};
  gmtime_r(&whole, &parts);
  char day[32], text[48];
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text, sizeof text, "%s.%03dZ", day,
                static_cast<int>((now - std::floor(now)) * 1000));
  return text;
}

std::string human_duration(double seconds) {
  char text[48];
  const long s = std::lround(std::max(0.0, seconds));
  if (s < 60)
    std::snprintf(text, sizeof text, "%ld s", s);
  else if (s < 3600)
    std::snprintf(text, sizeof text, "%ld min %02ld s", s / 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%ld h %02ld min", s / 3600, s / 60 % 60);
  return text;
}

}  // namespace homolog

// Durations from the monotonic clock, time stamps from the wall clock.
#pragma once

#include <chrono>
#include <string>

namespace homolog {

// Seconds since construction or the last lap(); monotonic.
class Stopwatch {
 public:
  double seconds() const;
  double lap();  // seconds since the last lap, and starts the next

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string utc_timestamp();                 // "2026-11-23T13:30:44.123Z"
double unix_seconds();                       // wall clock, seconds since 1970
std::string human_duration(double seconds);  // "42 s", "3 min 05 s", "2 h 07 min"

}  // namespace homolog

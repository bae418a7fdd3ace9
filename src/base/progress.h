// Progress of long work: a bar with rate and ETA on a terminal, plain lines elsewhere (SLURM logs).
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "base/clock.h"

namespace homolog {

class Progress {
 public:
  // total 0: unknown. `unit` in the plural ("pairs"). Nothing shows before the first advance().
  Progress(std::string label, std::int64_t total, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Thread-safe. `note` is shown behind the rate ("loss 3.21").
  void advance(std::int64_t by = 1, const std::string& note = "");
  void finish();  // last line; also called by the destructor
  static std::string line(const std::string& label, std::int64_t done, std::int64_t total,
                          double seconds, const std::string& unit);

 private:
  void show(bool last);
  std::mutex mutex_;
  std::string label_, unit_, note_;
  std::int64_t total_, done_ = 0;
  bool terminal_, finished_ = false;
  double shown_at_ = -1;
  Stopwatch watch_;
};

}  // namespace homolog

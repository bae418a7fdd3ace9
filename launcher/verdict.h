// What an attempt's end means: which rank was the cause, which exit code tells it (P8), and whether
// to start again. Pure functions over the workers' exit records.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launcher/exit_record.h"

namespace homolog::launcher {

struct Attempt {
  std::vector<ExitRecord> records = {};
  int world = 1;
  int starter_code = 0;      // what mpirun or srun (or the only worker's keeper) returned
  std::string starter = {};  // its name, for the message
  bool stop_requested = false;
  std::int64_t step = -1;  // of the newest whole checkpoint afterwards; -1 without one
  bool progress = false;   // a checkpoint was written
};

struct Outcome {
  int code = 0;              // one of P8
  std::string message = {};  // "" when code is 0 or 75
  std::string remedy = {};
  std::optional<int> rank = {};  // the cause, when a record shows it
};
Outcome explain(const Attempt& attempt);

struct RestartPolicy {
  int restarts = 0;          // how often in a row without progress; 0: never
  int without_progress = 0;  // restarts so far since the last progress
};
enum class Verdict : std::uint8_t { Done, Restart, GiveUp, NoProgress };
// Restarts cure a machine's fault (4) alone: a wrong option, broken data, divergence and differing
// replicas would come back.
Verdict judge(const Outcome& outcome, const Attempt& attempt, const RestartPolicy& policy);

// "exit code 3 (data)", "signal 9 (Killed)".
std::string describe_end(const ExitRecord& record);

}  // namespace homolog::launcher

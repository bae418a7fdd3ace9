// The present state of a run, from the boards of this host's workers and the files of the run
// folder. One object, sampled once a second by the monitor and asked by the HTTP handlers.
#pragma once

#include <deque>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "monitoring/board/board.h"
#include "monitoring/metrics_log.h"
#include "monitoring/run_files.h"

namespace homolog::monitoring {

struct WorkerState {
  int rank;
  bool alive;
  board::StepReport report;
};
// Reads the boards now; those of another version or without a report are left out.
std::vector<WorkerState> read_workers(const std::string& run_folder);

// What the run as a whole does. Waiting: no worker was seen yet. Ended: finished, or only files are
// left. Stopped: ended on request, resumable. Failed: a worker died or gave up. Stalled: no step
// for long.
enum class RunState { Waiting, Starting, Running, Stalled, Stopping, Stopped, Ended, Failed };
const char* state_name(RunState state) noexcept;

struct Verdict {
  RunState state;
  std::string message;  // one sentence for people
};
// Pure. `had_files`: metrics or checkpoints of an earlier time exist.
Verdict judge(const std::vector<WorkerState>& workers, double now_unix, bool had_files);
// True when none of the workers will publish again.
bool all_over(const std::vector<WorkerState>& workers);

class RunWatch {
 public:
  explicit RunWatch(std::filesystem::path run);
  // Reads boards and the growth of metrics.jsonl. Thread-safe, as is everything below.
  void sample();
  nlohmann::json run_json() const;  // /data/run.json
  nlohmann::json metrics_json(std::int64_t since,
                              std::int64_t generation) const;  // /data/metrics.json
  const std::filesystem::path& folder() const noexcept { return run_; }

 private:
  struct Tick {
    double time;
    std::int64_t step;
    std::uint64_t pairs;
  };
  nlohmann::json progress_json(const std::vector<WorkerState>& workers, double now) const;

  const std::filesystem::path run_;
  mutable std::mutex mutex_;
  RunIdentity identity_;
  MetricsLog log_;
  std::deque<Tick> ticks_;  // of the lowest local rank, for rates over the last minute
  double checked_files_ = 0;
  bool had_files_ = false;
};

}  // namespace homolog::monitoring

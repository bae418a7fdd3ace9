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
#include "monitoring/run_course.h"
#include "monitoring/run_files.h"

namespace homolog::monitoring {

struct WorkerState {
  int rank;
  bool alive;
  board::StepReport report;
};
// Reads the boards now; those of another version or without a report are left out.
std::vector<WorkerState> read_workers(const std::string& run_folder);

struct Verdict {
  RunState state;
  std::string message;  // one sentence for people
};
// Pure. `left`: what the run's folder says, which counts where no worker was seen.
Verdict judge(const std::vector<WorkerState>& workers, double now_unix, const RunCourse& left);
// How the run stands by its folder and `workers`, those on this machine; `log` is up to date, and
// `planned` is planned_steps(run).
RunCourse read_course(const std::filesystem::path& run, const MetricsLog& log,
                      const std::vector<CheckpointFolder>& checkpoints, std::int64_t planned,
                      const std::vector<WorkerState>& workers);
// True when none of the workers will publish again.
bool all_over(const std::vector<WorkerState>& workers);

class RunWatch {
 public:
  explicit RunWatch(std::filesystem::path run);
  // Reads boards and the growth of metrics.jsonl. By one thread; everything below by any.
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
  void look_at_files(const std::vector<WorkerState>& workers);
  nlohmann::json checkpoint_json(const std::vector<WorkerState>& workers, double now) const;
  nlohmann::json record_json(const std::vector<WorkerState>& workers, double now) const;
  nlohmann::json progress_json(const std::vector<WorkerState>& workers, double now) const;

  const std::filesystem::path run_;
  mutable std::mutex mutex_;
  RunIdentity identity_;
  MetricsLog log_;          // changed by sample() alone
  std::deque<Tick> ticks_;  // of the lowest local rank, for rates over the last minute
  double checked_files_ = 0;
  std::vector<CheckpointFolder> checkpoints_;
  std::int64_t planned_ = -1;
  RunCourse left_;
};

}  // namespace homolog::monitoring

// Tells the world about a step: the board for the sidecar, metrics.jsonl, a line on the terminal.
// Nothing here may stop or slow training: a missing board or a full disk is told once.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/progress.h"
#include "data/pair_stream.h"
#include "monitoring/board/board.h"
#include "train/checkpoint_writer.h"
#include "train/optimizer.h"
#include "train/run_folder.h"

namespace homolog::train {

using PartSeconds = std::array<double, static_cast<std::size_t>(board::Part::Count)>;

// Divides a step's time into parts.
class Laps {
 public:
  explicit Laps(PartSeconds& parts) : parts_(parts) {}
  // Counts the time since the last call to `part`.
  void end(board::Part part) { add(part, watch_.lap()); }
  void add(board::Part part, double seconds) { parts_[static_cast<std::size_t>(part)] += seconds; }

 private:
  PartSeconds& parts_;
  Stopwatch watch_;
};

struct StepFacts {
  std::int64_t step = 0, epoch = 0;     // index of the step
  double total = 0, gradient_norm = 0;  // world means
  std::vector<std::pair<std::string, double>> terms;
  StepRates rates;
  PartSeconds parts{};     // their sum is the step's time
  std::int64_t pairs = 0;  // of all ranks
  bool skipped = false, nonfinite_here = false;
  data::StreamCounters data;
  double allreduce_seconds_total = 0;
  std::uint64_t allreduce_bytes_total = 0;
  std::map<std::string, double> gauges;  // the objective's; the board shows "teacher_temperature"
};

class RunReport {
 public:
  struct Shape {  // what does not change during a run
    int rank = 0, local_rank = 0, world = 1;
    std::int64_t steps = 0, steps_per_epoch = 1, epochs = 1, start = 0;
  };
  RunReport(const RunFolder& folder, const Shape& shape);

  void phase(board::Phase phase);
  void step(const StepFacts& facts, const CheckpointWriter::Status& checkpoint);
  void validation(std::int64_t step, std::int64_t epoch, double total, double best,
                  const std::vector<std::pair<std::string, double>>& terms);

 private:
  void publish() noexcept;
  bool first_;  // rank 0 alone writes metrics and the terminal line
  std::optional<MetricsFile> metrics_;
  std::optional<Progress> progress_;
  std::unique_ptr<board::BoardWriter> board_;
  board::StepReport page_{};
};

}  // namespace homolog::train

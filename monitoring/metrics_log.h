// RUN/metrics.jsonl, followed while it grows: totals, and curves in bounded memory. When the curve
// has too many points, neighbours are averaged and the stride doubles, however long the run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace homolog::monitoring {

struct CurvePoint {
  std::int64_t step;           // last step of the bucket
  std::vector<double> values;  // per column the mean over the bucket; NaN: not given
};

struct ValidationPoint {
  std::int64_t step;
  std::map<std::string, double> values;  // "total", terms
};

struct LogTotals {
  std::int64_t steps = 0, skipped = 0, malformed = 0;
  std::int64_t last_step = -1;
  double seconds = 0, pairs = 0;
  std::map<std::string, double> part_seconds;
  std::vector<std::int64_t> resumed_at;  // steps at which the log goes on after a restart
  std::int64_t last_skipped = -1;
};

class MetricsLog {
 public:
  explicit MetricsLog(std::filesystem::path file, std::size_t max_points = 2000);
  // Takes in what was appended since the last call; a file that shrank is read anew. True when
  // there was something. Lines that are no JSON objects with a step are counted, not fatal.
  bool poll();
  void feed(std::string_view line);  // one line

  // Columns of a point: "epoch", "total", "lr", "wd", "ema", "grad_norm", "seconds",
  // "pairs_per_s", then the loss terms in order of appearance, each as "term.NAME".
  const std::vector<std::string>& columns() const { return columns_; }
  const std::vector<CurvePoint>& points() const { return points_; }  // complete buckets only
  std::int64_t stride() const { return stride_; }
  std::int64_t generation() const { return generation_; }  // changes when old points were changed
  const std::vector<ValidationPoint>& validation() const { return validation_; }
  const LogTotals& totals() const { return totals_; }

 private:
  struct Bucket {
    std::int64_t step = 0, lines = 0;
    std::vector<double> sums;
    std::vector<std::int64_t> counts;
  };
  void reset();
  void forget_from(std::int64_t step);
  std::size_t column(const std::string& name);
  void add(std::int64_t step, const std::map<std::string, double>& row);
  void close_bucket();
  void thin();

  std::filesystem::path file_;
  std::size_t max_points_;
  std::uint64_t offset_ = 0, inode_ = 0;
  std::string rest_;  // an unfinished last line
  std::vector<std::string> columns_;
  std::vector<CurvePoint> points_;
  std::vector<ValidationPoint> validation_;
  Bucket bucket_;
  std::int64_t stride_ = 1, generation_ = 0;
  LogTotals totals_;
};

}  // namespace homolog::monitoring

#include "monitoring/run_watch.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "monitoring/part_labels.h"

namespace homolog::monitoring {
namespace {

using board::Part;
using nlohmann::json;
constexpr double kRateWindow = 60;  // s
constexpr double kFilesEvery = 10;  // s between looks at manifest and settings

json finite(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json worker_json(const WorkerState& worker, double now) {
  const board::StepReport& r = worker.report;
  json parts = json::object();
  for (std::size_t i = 0; i < r.part_seconds_total.size(); ++i) {
    parts[board::part_name(static_cast<Part>(i))] = finite(r.part_seconds_total[i]);
  }
  return {{"rank", worker.rank},
          {"local_rank", r.local_rank},
          {"alive", worker.alive},
          {"phase", board::phase_name(r.phase)},
          {"step", r.step},
          {"last_step_age", r.last_step_unix > 0 ? finite(now - r.last_step_unix) : json(nullptr)},
          {"step_seconds", finite(r.step_seconds)},
          {"parts", parts},
          {"queue_depth", r.queue_depth},
          {"queue_capacity", r.queue_capacity},
          {"bytes_read", r.data_bytes_read},
          {"quarantined", r.data_quarantined},
          {"retries", r.data_retries},
          {"allreduce_seconds", finite(r.allreduce_seconds_total)},
          {"allreduce_bytes", r.allreduce_bytes_total},
          {"resident_bytes", r.resident_bytes}};
}

}  // namespace

std::vector<WorkerState> read_workers(const std::string& run_folder) {
  std::vector<WorkerState> workers;
  for (const int rank : board::local_boards(run_folder)) {
    // Opened anew each time, so that a restarted worker's new page is seen.
    const auto reader = board::BoardReader::open(run_folder, rank);
    if (!reader) continue;
    const bool alive = reader->writer_alive();  // asked first: a report that follows is its last
    if (auto report = reader->read()) workers.push_back({rank, alive, *report});
  }
  return workers;
}

RunCourse read_course(const std::filesystem::path& run, const MetricsLog& log,
                      const std::vector<CheckpointFolder>& checkpoints, std::int64_t planned,
                      const std::vector<WorkerState>& workers) {
  const LogTotals& totals = log.totals();
  RunTrace trace;
  trace.reached = totals.last_step + 1;
  trace.planned = planned;
  trace.checkpoint = checkpoints.empty() ? -1 : checkpoints.back().step;
  trace.ends = read_ends(run);
  trace.silence = unix_seconds() - last_sign(run);
  if (totals.steps > 0) trace.step_seconds = totals.seconds / static_cast<double>(totals.steps);
  if (!workers.empty()) trace.alive = !all_over(workers);
  return course_of(trace);
}

RunWatch::RunWatch(std::filesystem::path run)
    : run_(std::move(run)), log_(run_ / "metrics.jsonl") {}

// Reads first and locks then: on a slow file system the page must not wait for it.
void RunWatch::look_at_files(const std::vector<WorkerState>& workers) {
  auto identity = read_identity(run_);
  auto checkpoints = list_checkpoints(run_);
  const std::int64_t planned = planned_steps(run_);
  auto left = read_course(run_, log_, checkpoints, planned, workers);
  const std::lock_guard lock(mutex_);
  identity_ = std::move(identity);
  checkpoints_ = std::move(checkpoints);
  planned_ = planned;
  left_ = std::move(left);
}

void RunWatch::sample() {
  const auto workers = read_workers(run_.string());
  const double now = unix_seconds();
  {
    const std::lock_guard lock(mutex_);
    log_.poll();
  }
  if (now - checked_files_ >= kFilesEvery) {
    look_at_files(workers);
    checked_files_ = now;
  }
  if (workers.empty()) return;
  const std::lock_guard lock(mutex_);
  const board::StepReport& first = workers.front().report;
  if (!ticks_.empty() && first.step < ticks_.back().step) ticks_.clear();  // a new start
  ticks_.push_back({now, first.step, first.pairs_total});
  while (ticks_.size() > 2 && ticks_.front().time < now - kRateWindow) ticks_.pop_front();
}

// The newest, from the folder or from a living worker: the one is looked at now and then, the other
// does not tell of a last checkpoint behind its last step.
json RunWatch::checkpoint_json(const std::vector<WorkerState>& workers, double now) const {
  std::int64_t step = -1;
  double time = 0;
  std::uint64_t bytes = 0;
  if (!checkpoints_.empty()) {
    step = checkpoints_.back().step;
    time = checkpoints_.back().unix_seconds;
    bytes = checkpoints_.back().bytes;
  }
  for (const WorkerState& w : workers) {
    if (w.report.checkpoint_last_unix <= time) continue;
    step = w.report.checkpoint_last_step;
    time = w.report.checkpoint_last_unix;
    bytes = static_cast<std::uint64_t>(w.report.checkpoint_bytes);
  }
  if (step < 0) return nullptr;
  return {{"step", step}, {"age", now - time}, {"bytes", bytes}};
}

// What the folder says, whether or not a worker runs here.
json RunWatch::record_json(const std::vector<WorkerState>& workers, double now) const {
  const LogTotals& totals = log_.totals();
  json parts = json::object();
  for (const auto& [part, seconds] : totals.part_seconds) parts[part] = finite(seconds);
  return {{"reached_steps", totals.last_step + 1},
          {"planned_steps", planned_ > 0 ? json(planned_) : json(nullptr)},
          {"seconds", finite(totals.seconds)},
          {"skipped", totals.skipped},
          {"parts", parts},
          {"has_target", checkpoints_.empty() || checkpoints_.back().target},
          {"checkpoint", checkpoint_json(workers, now)}};
}

json RunWatch::progress_json(const std::vector<WorkerState>& workers, double now) const {
  const board::StepReport& r = workers.front().report;
  json terms = json::object();
  for (std::uint32_t i = 0; i < r.term_count; ++i)
    terms[r.terms[i].name] = finite(r.terms[i].value);
  // After the end the run's own last sign counts, not the present.
  const double until = all_over(workers)
                           ? std::max({r.started_unix, r.last_step_unix, r.checkpoint_last_unix})
                           : now;
  json pairs_per_s = nullptr, eta = nullptr;
  if (ticks_.size() > 1 && ticks_.back().step > ticks_.front().step) {
    const double seconds = ticks_.back().time - ticks_.front().time;
    const auto steps = static_cast<double>(ticks_.back().step - ticks_.front().step);
    if (ticks_.back().pairs >= ticks_.front().pairs) {
      pairs_per_s = static_cast<double>(ticks_.back().pairs - ticks_.front().pairs) / seconds *
                    static_cast<double>(std::max<std::int64_t>(1, r.world));
    }
    eta = std::max(0.0, static_cast<double>(r.total_steps - r.step) * seconds / steps);
  }
  return {{"phase", board::phase_name(r.phase)},
          {"step", r.step},
          {"total_steps", r.total_steps},
          {"epoch", r.epoch},
          {"total_epochs", r.total_epochs},
          {"steps_per_epoch", r.steps_per_epoch},
          {"resumed_from_step", r.resumed_from_step},
          {"world", r.world},
          {"up_seconds", finite(until - r.started_unix)},
          {"pairs_per_s", pairs_per_s},
          {"eta_seconds", eta},
          {"terms", terms},
          {"learning_rate", finite(r.learning_rate)},
          {"ema_momentum", finite(r.ema_momentum)},
          {"gradient_norm", finite(r.gradient_norm)},
          {"skipped", r.skipped_total},
          {"validation_total", finite(r.validation_total)},
          {"validation_best", finite(r.validation_best)}};
}

json RunWatch::run_json() const {
  const auto workers = read_workers(run_.string());
  const double now = unix_seconds();
  const std::lock_guard lock(mutex_);
  const Verdict verdict = judge(workers, now, left_);
  json answer = {{"run", identity_.name},
                 {"config_hash", identity_.config_hash},
                 {"store", identity_.store},
                 {"started", identity_.started},
                 {"state", state_name(verdict.state)},
                 {"message", verdict.message},
                 {"now", now},
                 {"progress", workers.empty() ? json(nullptr) : progress_json(workers, now)},
                 {"record", record_json(workers, now)}};
  answer["part_labels"] = json::array();  // in the order of a step
  for (std::size_t i = 0; i < static_cast<std::size_t>(Part::Count); ++i) {
    const std::string name = board::part_name(static_cast<Part>(i));
    answer["part_labels"].push_back({name, part_label(name)});
  }
  answer["workers"] = json::array();
  for (const WorkerState& worker : workers) answer["workers"].push_back(worker_json(worker, now));
  return answer;
}

json RunWatch::metrics_json(std::int64_t since, std::int64_t generation) const {
  const std::lock_guard lock(mutex_);
  if (generation != log_.generation()) since = -1;  // what the page holds is no longer true
  json rows = json::array(), validation = json::array();
  const auto& points = log_.points();
  auto point = std::partition_point(points.begin(), points.end(),
                                    [=](const auto& p) { return p.step <= since; });
  for (; point != points.end(); ++point) {
    json row = {point->step};
    for (const double value : point->values) row.push_back(finite(value));
    rows.push_back(std::move(row));
  }
  for (const ValidationPoint& v : log_.validation()) {
    validation.push_back({{"step", v.step}, {"values", v.values}});
  }
  return {{"generation", log_.generation()},
          {"stride", log_.stride()},
          {"since", since},
          {"columns", log_.columns()},
          {"rows", rows},
          {"validation", validation},
          {"resumed_at", log_.totals().resumed_at}};
}

}  // namespace homolog::monitoring

#include "monitoring/board_collector.h"

#include <prometheus/metric_family.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "base/clock.h"
#include "build_info.h"

namespace homolog::monitoring {
namespace {

using board::Part;
using board::Phase;
using board::StepReport;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

void sample(MetricFamily& family, Labels labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter)
    metric.counter.value = value;
  else
    metric.gauge.value = value;
  family.metric.push_back(std::move(metric));
}

// One family per call; families without a sample are left out, as Prometheus wants absence.
class Families {
 public:
  explicit Families(const std::vector<WorkerState>& workers) : workers_(workers) {
    for (const WorkerState& w : workers) {
      if (w.rank == 0 && w.alive) global_ = &w.report;
    }
  }
  void one(const char* name, MetricType type, const char* help, Labels labels, double value) {
    MetricFamily family{name, help, type, {}};
    sample(family, std::move(labels), value);
    result_.push_back(std::move(family));
  }
  // Only rank 0 exports what is the same on all ranks, and only while it lives.
  void global(const char* name, MetricType type, const char* help, double value,
              Labels labels = {}) {
    if (global_) one(name, type, help, std::move(labels), value);
  }
  using Fill = std::function<void(MetricFamily&, const Labels&, const WorkerState&)>;
  // `dead_too`: the last value stays visible after the worker's death.
  void per_rank(const char* name, MetricType type, const char* help, const Fill& fill,
                bool dead_too = false) {
    MetricFamily family{name, help, type, {}};
    for (const WorkerState& w : workers_) {
      const Labels labels = {{"rank", std::to_string(w.rank)},
                             {"local_rank", std::to_string(w.report.local_rank)}};
      if (w.alive || dead_too) fill(family, labels, w);
    }
    if (!family.metric.empty()) result_.push_back(std::move(family));
  }
  void per_rank(const char* name, MetricType type, const char* help,
                double (*value)(const StepReport&), bool dead_too = false) {
    per_rank(
        name, type, help,
        [value](MetricFamily& family, const Labels& labels, const WorkerState& w) {
          sample(family, labels, value(w.report));
        },
        dead_too);
  }
  const StepReport* global_report() const { return global_; }
  void add(MetricFamily family) { result_.push_back(std::move(family)); }
  std::vector<MetricFamily> take() { return std::move(result_); }

 private:
  const std::vector<WorkerState>& workers_;
  const StepReport* global_ = nullptr;
  std::vector<MetricFamily> result_;
};

constexpr auto C = MetricType::Counter;
constexpr auto G = MetricType::Gauge;

void identity_families(Families& f, const RunIdentity& id) {
  f.one("homolog_build_info", G, "Build of the monitor; always 1.",
        {{"version", HOMOLOG_VERSION}, {"git", HOMOLOG_COMMIT}, {"compiler", HOMOLOG_COMPILER}}, 1);
  f.one("homolog_run_info", G, "Run whose workers are shown; always 1.",
        {{"run", id.name}, {"config_hash", id.config_hash}, {"store_hash", id.store_hash}}, 1);
}

void progress_families(Families& f, const StepReport* r) {
  f.global("homolog_world_size", G, "Ranks of the run.", static_cast<double>(r->world));
  MetricFamily phase{"homolog_phase", "1 for the phase that the run is in.", G, {}};
  for (int p = 0; p <= static_cast<int>(Phase::Failed); ++p) {
    sample(phase, {{"phase", board::phase_name(static_cast<Phase>(p))}},
           r->phase == static_cast<Phase>(p));
  }
  f.add(std::move(phase));
  f.global("homolog_epoch", G, "Epoch, counted from 0.", static_cast<double>(r->epoch));
  if (r->steps_per_epoch > 0) {
    const auto within = r->step - r->epoch * r->steps_per_epoch;
    f.global("homolog_epoch_progress_ratio", G, "Share of the epoch that is done.",
             std::min(1.0, std::max(0.0, static_cast<double>(within) /
                                             static_cast<double>(r->steps_per_epoch))));
  }
  f.global("homolog_step", G, "Step of the schedule; goes back when a run resumes.",
           static_cast<double>(r->step));
  f.global("homolog_target_steps", G, "Steps of the whole run.",
           static_cast<double>(r->total_steps));
  f.global("homolog_resumed_from_step", G, "Step at which this start resumed; 0: from nothing.",
           static_cast<double>(r->resumed_from_step));
}

void learning_families(Families& f, const StepReport* r) {
  MetricFamily loss{"homolog_loss", "Last logged mean over the world.", G, {}};
  for (std::uint32_t i = 0; i < r->term_count; ++i)
    sample(loss, {{"term", r->terms[i].name}}, r->terms[i].value);
  if (r->term_count > 0) f.add(std::move(loss));
  f.global("homolog_learning_rate", G, "Learning rate of the last step.", r->learning_rate);
  f.global("homolog_weight_decay", G, "Weight decay of the last step.", r->weight_decay);
  f.global("homolog_ema_momentum_ratio", G, "Momentum of the target's moving average.",
           r->ema_momentum);
  if (r->teacher_temperature > 0) {
    f.global("homolog_teacher_temperature", G, "Temperature of the target's softmax.",
             r->teacher_temperature);
  }
  f.global("homolog_grad_norm", G, "Norm of the whole gradient before clipping.", r->gradient_norm);
  f.global("homolog_skipped_steps_total", C, "Steps that changed nothing.",
           static_cast<double>(r->skipped_total), {{"reason", "nonfinite"}});
}

void checkpoint_families(Families& f, const StepReport* r, double now) {
  f.global("homolog_checkpoint_failures_total", C, "Checkpoints that could not be written.",
           static_cast<double>(r->checkpoint_failures));
  if (r->checkpoint_last_unix > 0) {
    f.global("homolog_checkpoint_last_success_timestamp_seconds", G,
             "When the last checkpoint was complete.", r->checkpoint_last_unix);
    f.global("homolog_checkpoint_age_seconds", G, "Since the last checkpoint.",
             now - r->checkpoint_last_unix);
    f.global("homolog_checkpoint_last_step", G, "Its step.",
             static_cast<double>(r->checkpoint_last_step));
    f.global("homolog_checkpoint_bytes", G, "Its size.", static_cast<double>(r->checkpoint_bytes));
    f.global("homolog_checkpoint_last_duration_seconds", G, "How long it took.",
             r->checkpoint_seconds);
  }
}

void run_families(Families& f, double now) {
  const StepReport* r = f.global_report();
  if (!r) return;
  progress_families(f, r);
  learning_families(f, r);
  checkpoint_families(f, r, now);
  if (std::isfinite(r->validation_total) && r->validation_total != 0) {
    f.global("homolog_validation_loss", G, "Last loss on the held-out pairs.", r->validation_total);
    f.global("homolog_validation_best_loss", G, "Best loss on the held-out pairs.",
             r->validation_best);
  }
}

void rank_families(Families& f, double now) {
  f.per_rank(
      "homolog_worker_up", G, "1 while the process of the rank lives.",
      [](MetricFamily& m, const Labels& l, const WorkerState& w) { sample(m, l, w.alive ? 1 : 0); },
      true);
  f.per_rank(
      "homolog_last_step_timestamp_seconds", G, "When the rank ended its last step.",
      [](MetricFamily& m, const Labels& l, const WorkerState& w) {
        if (w.report.last_step_unix > 0) sample(m, l, w.report.last_step_unix);
      },
      true);
  f.per_rank("homolog_up_seconds", G, "Since the worker started.",
             [now](MetricFamily& m, const Labels& l, const WorkerState& w) {
               sample(m, l, now - w.report.started_unix);
             });
  f.per_rank("homolog_steps_total", C, "Optimizer steps since the worker started.",
             [](const StepReport& r) { return static_cast<double>(r.steps_total); });
  f.per_rank("homolog_pairs_total", C, "Pairs that the rank consumed.",
             [](const StepReport& r) { return static_cast<double>(r.pairs_total); });
  f.per_rank("homolog_last_step_duration_seconds", G, "Of the last step.",
             [](const StepReport& r) { return r.step_seconds; });
  f.per_rank("homolog_step_phase_seconds_total", C,
             "Where the time of the steps went; the parts sum to the whole.",
             [](MetricFamily& m, const Labels& labels, const WorkerState& w) {
               for (std::size_t i = 0; i < w.report.part_seconds_total.size(); ++i) {
                 Labels with_part = labels;
                 with_part.push_back({"part", board::part_name(static_cast<Part>(i))});
                 sample(m, with_part, w.report.part_seconds_total[i]);
               }
             });
  f.per_rank("homolog_allreduce_seconds_total", C,
             "Time in all-reduces, hidden behind backward or not.",
             [](const StepReport& r) { return r.allreduce_seconds_total; });
  f.per_rank("homolog_allreduce_bytes_total", C, "Bytes handed to all-reduces.",
             [](const StepReport& r) { return static_cast<double>(r.allreduce_bytes_total); });
  f.per_rank("homolog_nonfinite_total", C, "Non-finite losses or gradients on the rank.",
             [](const StepReport& r) { return static_cast<double>(r.nonfinite_total); });
}

void data_families(Families& f) {
  f.per_rank("homolog_data_queue_depth", G, "Batches ready; 0 means that the step waits.",
             [](const StepReport& r) { return static_cast<double>(r.queue_depth); });
  f.per_rank("homolog_data_queue_capacity", G, "Batches that may be ready.",
             [](const StepReport& r) { return static_cast<double>(r.queue_capacity); });
  f.per_rank("homolog_data_read_bytes_total", C, "Bytes read from the store.",
             [](const StepReport& r) { return static_cast<double>(r.data_bytes_read); });
  f.per_rank("homolog_data_decompressed_bytes_total", C, "Bytes after decompression.",
             [](const StepReport& r) { return static_cast<double>(r.data_bytes_decoded); });
  f.per_rank("homolog_data_records_quarantined_total", C,
             "Records refused by their checksum or content.",
             [](const StepReport& r) { return static_cast<double>(r.data_quarantined); });
  f.per_rank("homolog_data_retries_total", C, "Reads that were repeated.",
             [](const StepReport& r) { return static_cast<double>(r.data_retries); });
  f.per_rank("homolog_data_staged_shards_left", G,
             "Staged shards that are no longer read, because a crop in them was bad.",
             [](const StepReport& r) { return static_cast<double>(r.data_copies_left); });
  f.per_rank("homolog_host_resident_bytes", G, "Memory of the worker's process.",
             [](const StepReport& r) { return static_cast<double>(r.resident_bytes); });
}

}  // namespace

std::vector<MetricFamily> families(const std::vector<WorkerState>& workers,
                                   const RunIdentity& identity, double now) {
  Families f(workers);
  identity_families(f, identity);
  run_families(f, now);
  rank_families(f, now);
  data_families(f);
  return f.take();
}

std::vector<MetricFamily> BoardCollector::Collect() const {
  const Stopwatch watch;
  auto result = families(read_workers(run_.string()), read_identity(run_), unix_seconds());
  const auto gauge = [&result](const char* name, const char* help, Labels labels, double value) {
    result.push_back({name, help, G, {}});
    sample(result.back(), std::move(labels), value);
  };
  struct statvfs disk {};
  if (::statvfs(run_.c_str(), &disk) == 0) {
    gauge("homolog_disk_free_bytes", "Free space for ordinary users.", {{"mount", "checkpoint"}},
          static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize));
  }
  gauge("homolog_scrape_duration_seconds", "How long the monitor took to answer this scrape.", {},
        watch.seconds());
  return result;
}

}  // namespace homolog::monitoring

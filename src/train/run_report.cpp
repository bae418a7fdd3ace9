#include "train/run_report.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/clock.h"
#include "base/log.h"

namespace homolog::train {
namespace {

using nlohmann::json;

json number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

std::uint64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string metrics_line(const StepFacts& f, double seconds) {
  json terms = json::object(), parts = json::object();
  for (const auto& [name, value] : f.terms) terms[name] = number(value);
  for (std::size_t p = 0; p < f.parts.size(); ++p)
    parts[board::part_name(static_cast<board::Part>(p))] = f.parts[p];
  json line = {{"step", f.step},
               {"epoch", f.epoch},
               {"total", number(f.total)},
               {"terms", terms},
               {"lr", f.rates.learning_rate},
               {"wd", f.rates.weight_decay},
               {"ema", f.rates.ema_momentum},
               {"grad_norm", number(f.gradient_norm)},
               {"seconds", seconds},
               {"parts", parts},
               {"pairs_per_s", static_cast<double>(f.pairs) / seconds}};
  if (f.skipped) line["skipped"] = true;
  return line.dump();
}

void put_term(board::Term& term, const std::string& name, double value) {
  std::snprintf(term.name, sizeof term.name, "%s", name.c_str());
  term.value = value;
}

}  // namespace

RunReport::RunReport(const RunFolder& folder, const Shape& shape) : first_(shape.rank == 0) {
  page_.rank = shape.rank;
  page_.local_rank = shape.local_rank;
  page_.world = shape.world;
  page_.phase = board::Phase::Init;
  page_.step = shape.start;
  page_.total_steps = shape.steps;
  page_.total_epochs = shape.epochs;
  page_.steps_per_epoch = shape.steps_per_epoch;
  page_.resumed_from_step = shape.start;
  page_.started_unix = unix_seconds();
  page_.checkpoint_last_step = -1;
  page_.validation_total = page_.validation_best = std::nan("");
  if (first_) {
    metrics_.emplace(folder);
    progress_.emplace("train", shape.steps - shape.start, "steps");
  }
  try {
    board_ = std::make_unique<board::BoardWriter>(folder.path().string(), shape.rank);
  } catch (const std::exception& e) {
    log::warn("no board for the monitor; training goes on", {{"reason", e.what()}});
  }
  publish();
}

void RunReport::publish() noexcept {
  if (board_) board_->publish(page_);
}

void RunReport::phase(board::Phase phase) {
  page_.phase = phase;
  const bool last = phase == board::Phase::Done || phase == board::Phase::Stopping ||
                    phase == board::Phase::Failed;
  if (last && progress_) progress_->finish();
  publish();
}

void RunReport::step(const StepFacts& f, const CheckpointWriter::Status& checkpoint) {
  const double seconds = std::accumulate(f.parts.begin(), f.parts.end(), 0.0);
  page_.phase = board::Phase::Train;
  page_.step = f.step + 1;
  page_.epoch = f.epoch;
  page_.last_step_unix = unix_seconds();
  page_.step_seconds = seconds;
  for (std::size_t p = 0; p < f.parts.size(); ++p) page_.part_seconds_total[p] += f.parts[p];
  ++page_.steps_total;
  page_.pairs_total += static_cast<std::uint64_t>(f.pairs / page_.world);
  page_.skipped_total += f.skipped;
  page_.nonfinite_total += f.nonfinite_here;
  if (!f.skipped) {
    put_term(page_.terms[0], "total", f.total);
    page_.term_count = 1;
    for (const auto& [name, value] : f.terms) {
      if (page_.term_count < board::kMaxTerms)
        put_term(page_.terms[page_.term_count++], name, value);
    }
    page_.gradient_norm = f.gradient_norm;
  }
  page_.learning_rate = f.rates.learning_rate;
  page_.weight_decay = f.rates.weight_decay;
  page_.ema_momentum = f.rates.ema_momentum;
  const auto temperature = f.gauges.find("teacher_temperature");
  if (temperature != f.gauges.end()) page_.teacher_temperature = temperature->second;
  page_.allreduce_seconds_total = f.allreduce_seconds_total;
  page_.allreduce_bytes_total = f.allreduce_bytes_total;
  page_.data_bytes_read = f.data.bytes_read;
  page_.data_bytes_decoded = f.data.bytes_decoded;
  page_.data_quarantined = f.data.quarantined;
  page_.data_retries = f.data.retries;
  page_.data_copies_left = f.data.copies_left;
  page_.queue_depth = f.data.queue_depth;
  page_.queue_capacity = f.data.queue_capacity;
  page_.checkpoint_last_step = checkpoint.last_step;
  page_.checkpoint_last_unix = checkpoint.last_unix;
  page_.checkpoint_seconds = checkpoint.seconds;
  page_.checkpoint_bytes = checkpoint.bytes;
  page_.checkpoint_failures = checkpoint.failures;
  page_.resident_bytes = resident_bytes();
  publish();
  if (!first_) return;
  metrics_->append(metrics_line(f, seconds));
  char note[96];
  if (std::isfinite(f.total))
    std::snprintf(note, sizeof note, "loss %.4f  lr %.2e%s", f.total, f.rates.learning_rate,
                  f.skipped ? "  SKIPPED" : "");
  else
    std::snprintf(note, sizeof note, "loss not finite  lr %.2e  SKIPPED", f.rates.learning_rate);
  progress_->advance(1, note);
}

void RunReport::validation(std::int64_t step, std::int64_t epoch, double total, double best,
                           const std::vector<std::pair<std::string, double>>& terms) {
  page_.validation_total = total;
  page_.validation_best = best;
  publish();
  log::info("validation", {{"step", step}, {"epoch", epoch}, {"total", total}, {"best", best}});
  if (!first_) return;
  json values = {{"total", number(total)}};
  for (const auto& [name, value] : terms) values[name] = number(value);
  metrics_->append(json{{"step", step}, {"epoch", epoch}, {"validation", values}}.dump());
}

}  // namespace homolog::train

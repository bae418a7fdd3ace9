// The report's advice: one rule, one sentence that says what was seen and what to try.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "monitoring/part_labels.h"
#include "monitoring/report.h"

namespace homolog::monitoring {
namespace {

constexpr std::int64_t kFewSteps = 20;  // a shorter run shows no trend
constexpr double kRoseAgain = 1.25;     // times the best tenth

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::int64_t setting(const RunReport& report, const char* key) {
  const auto found = report.settings.find(key);
  return found == report.settings.end() ? -1 : std::strtoll(found->second.c_str(), nullptr, 10);
}

std::string doubled(const RunReport& report, const char* key) {
  const auto value = setting(report, key);
  return std::string(key) +
         (value > 0 ? " from " + std::to_string(value) + " to " + std::to_string(2 * value) : "");
}

void on_end(const RunReport& r, std::vector<std::string>& lines) {
  if (r.end.state == RunState::Failed) {
    std::string line = "the run died at " + step_text(r.reached, r.planned) + ": ";
    const int signal = r.end.cause ? r.end.cause->signal : 0;
    if (!r.end.cause || signal == 9)
      line +=
          "if nobody killed it, the machine ran out of memory (dmesg tells), so try a smaller "
          "batch or fewer workers; ";
    else
      line += "read the end of what its rank wrote, and mend the cause; ";
    lines.push_back(line + (r.checkpoints.empty() ? "there is no checkpoint, so start again"
                                                  : "then go on from step " +
                                                        std::to_string(r.checkpoints.back().step) +
                                                        " with --resume auto"));
  } else if (r.checkpoints.empty() && r.end.state != RunState::Running) {
    lines.push_back("there is no complete checkpoint: nothing can be resumed or exported");
  }
}

void on_loss(const RunReport& r, std::vector<std::string>& lines) {
  const LossCourse& loss = r.loss;
  const bool long_enough = r.log.totals().steps >= kFewSteps;
  if (long_enough && loss.last >= loss.first) {
    lines.push_back("the loss did not fall (" + number(loss.first) + " in the first tenth, " +
                    number(loss.last) +
                    " in the last): lower schedule.base_lr, train longer, or check the pairs "
                    "(homolog store verify)");
  } else if (long_enough && loss.last > kRoseAgain * loss.best) {
    lines.push_back("the loss rose again, from " + number(loss.best) + " around step " +
                    std::to_string(loss.best_step) + " to " + number(loss.last) +
                    " at the end: lower schedule.base_lr, or export an earlier checkpoint");
  }
  if (loss.spikes > 0) {
    lines.push_back("the loss spiked in " + std::to_string(loss.spikes) +
                    (loss.spikes == 1 ? " step" : " steps") + ", the largest " +
                    number(loss.spike) + " at step " + std::to_string(loss.spike_step) + ", " +
                    number(loss.spike_ratio) + " times the median before it" +
                    (loss.spike_term.empty() ? "" : ", from the term " + loss.spike_term) +
                    ": lower schedule.base_lr or optimizer.clip, or lengthen the warm-up");
  }
}

void on_terms(const RunReport& r, std::vector<std::string>& lines) {
  for (const CollapsedTerm& term : r.loss.collapsed) {
    lines.push_back("the term " + term.name + " is practically 0 in " + std::to_string(term.steps) +
                    " of " + std::to_string(r.log.totals().steps) +
                    " steps, so it teaches nothing there: lower schedule.base_lr, or look at the "
                    "term's weight and temperatures");
  }
  for (const GuessingTerm& term : r.loss.guessing) {
    lines.push_back("the term " + term.name + " went back to guessing (" + number(term.last) +
                    " at the end, after " + number(term.best) + " around step " +
                    std::to_string(term.best_step) +
                    "), which is a collapse: lower schedule.base_lr, and start anew or from an "
                    "earlier checkpoint");
  }
}

void on_steps(const RunReport& r, std::vector<std::string>& lines) {
  const LogTotals& t = r.log.totals();
  if (t.skipped > 0) {
    lines.push_back(std::to_string(t.skipped) + (t.skipped == 1 ? " step was" : " steps were") +
                    " skipped as not finite, the last at step " + std::to_string(t.last_skipped) +
                    ": if it happens again lower schedule.base_lr; log-RANK.jsonl names the "
                    "samples");
  }
  const auto& validation = r.log.validation();
  double best = INFINITY, last = NAN;
  for (const auto& point : validation) {
    if (!point.values.contains("total")) continue;
    last = point.values.at("total");
    best = std::min(best, last);
  }
  if (validation.size() >= 3 && last > 1.1 * best) {
    lines.push_back(
        "the loss on held-out pairs rose again after its best: export the best checkpoint, or use "
        "more studies");
  }
  if (t.malformed > 0) {
    lines.push_back(std::to_string(t.malformed) +
                    " lines of metrics.jsonl could not be read: was the disk full?");
  }
}

void on_time(const RunReport& r, std::vector<std::string>& lines) {
  const auto is = [&](const char* part) {
    return part_label(part) + " is " + percent(r.share(part)) + " of the step: ";
  };
  if (r.share("data_wait") > 0.05)
    lines.push_back(is("data_wait") + "raise " + doubled(r, "data.threads"));
  if (r.share("allreduce_exposed") > 0.15)
    lines.push_back(is("allreduce_exposed") + "raise data.batch, or " +
                    doubled(r, "data.accumulate"));
  if (r.share("checkpoint_block") > 0.05)
    lines.push_back(is("checkpoint_block") +
                    "raise checkpoint.every_steps, or save to a faster disk");
  if (r.share("h2d") > 0.1) lines.push_back(is("h2d") + "is the machine shared?");
}

}  // namespace

std::string percent(double share) {
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  char text[16];
  std::snprintf(text, sizeof text, share < 0.0995 ? "%.1f %%" : "%.0f %%", 100 * share);
  return text;
}

std::vector<std::string> advise(const RunReport& report) {
  std::vector<std::string> lines;
  for (const auto rule : {on_end, on_loss, on_terms, on_steps, on_time}) rule(report, lines);
  return lines;
}

}  // namespace homolog::monitoring

#include "monitoring/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/clock.h"
#include "base/error.h"

namespace homolog::monitoring {
namespace {

using nlohmann::json;

json finite(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

std::string percent(double share) {
  char text[16];
  std::snprintf(text, sizeof text, share < 0.0995 ? "%.1f %%" : "%.0f %%", 100 * share);
  return text;
}

std::int64_t setting(const RunReport& report, const char* key) {
  const auto found = report.settings.find(key);
  return found == report.settings.end() ? -1 : std::strtoll(found->second.c_str(), nullptr, 10);
}

void advise_on_time(const RunReport& r, std::vector<std::string>& lines) {
  if (r.share("data_wait") > 0.05) {
    const auto threads = setting(r, "data.threads");
    lines.push_back(
        "data wait is " + percent(r.share("data_wait")) + " of the step: raise data.threads" +
        (threads > 0 ? " from " + std::to_string(threads) + " to " + std::to_string(2 * threads)
                     : ""));
  }
  if (r.share("allreduce_exposed") > 0.15) {
    const auto accumulate = setting(r, "data.accumulate");
    lines.push_back("waiting for all-reduce is " + percent(r.share("allreduce_exposed")) +
                    " of the step: raise data.batch, or data.accumulate" +
                    (accumulate > 0 ? " from " + std::to_string(accumulate) + " to " +
                                          std::to_string(2 * accumulate)
                                    : ""));
  }
  if (r.share("checkpoint_block") > 0.05) {
    lines.push_back("saving checkpoints blocks " + percent(r.share("checkpoint_block")) +
                    " of the time: raise checkpoint.every_steps, or save to a faster disk");
  }
  if (r.share("h2d") > 0.1) {
    lines.push_back("moving data to the device is " + percent(r.share("h2d")) +
                    " of the step: is the machine shared?");
  }
}

void advise_on_course(const RunReport& r, std::vector<std::string>& lines) {
  const LogTotals& t = r.log.totals();
  if (t.steps > 0 && static_cast<double>(t.skipped) > 0.01 * static_cast<double>(t.steps)) {
    lines.push_back(std::to_string(t.skipped) +
                    " steps were skipped as not finite: lower the peak learning rate, and look at "
                    "log-RANK.jsonl for where they arose");
  }
  if (t.steps >= 50 && r.log.loss_last() >= t.loss_first) {
    lines.push_back(
        "the loss did not fall: train longer, or check the learning rate and the pairs (homolog "
        "store verify)");
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
  if (r.checkpoints.empty() && t.steps > 0) {
    lines.push_back("there is no complete checkpoint: nothing can be resumed or exported");
  }
  if (t.malformed > 0) {
    lines.push_back(std::to_string(t.malformed) +
                    " lines of metrics.jsonl could not be read: was the disk full?");
  }
}

std::vector<PhaseShare> shares(const LogTotals& totals) {
  double sum = 0;
  for (const auto& [part, seconds] : totals.part_seconds) sum += seconds;
  std::vector<PhaseShare> phases;
  for (const auto& [part, seconds] : totals.part_seconds)
    phases.push_back({part, seconds, sum > 0 ? seconds / sum : 0});
  std::sort(phases.begin(), phases.end(),
            [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return phases;
}

json curve_json(const MetricsLog& log) {
  json rows = json::array();
  for (const CurvePoint& point : log.points()) {
    json row = {point.step};
    for (const double value : point.values) row.push_back(finite(value));
    rows.push_back(std::move(row));
  }
  return {{"stride", log.stride()}, {"columns", log.columns()}, {"rows", std::move(rows)}};
}

}  // namespace

double RunReport::share(const std::string& part) const {
  const auto it =
      std::find_if(phases.begin(), phases.end(), [&](const auto& p) { return p.part == part; });
  return it == phases.end() ? 0 : it->share;
}

RunReport read_report(const std::filesystem::path& run) {
  if (!std::filesystem::is_directory(run)) {
    throw Error(Fault::Data, "no run at " + run.string(),
                "give the folder of a run, as in: homolog report runs/demo");
  }
  if (!std::filesystem::exists(run / "metrics.jsonl")) {
    throw Error(Fault::Data, run.string() + " holds no metrics.jsonl",
                "give a run's folder whose training has made at least one step");
  }
  RunReport report{read_identity(run),
                   read_settings(run),
                   MetricsLog(run / "metrics.jsonl", 1000),
                   list_checkpoints(run),
                   {},
                   {},
                   0,
                   {}};
  report.log.poll();
  const LogTotals& totals = report.log.totals();
  if (totals.steps == 0) {
    throw Error(Fault::Data, (run / "metrics.jsonl").string() + " holds no step",
                "wait until training has made a step, or look at log-0.jsonl for why it did not");
  }
  report.phases = shares(totals);
  if (totals.seconds > 0) report.pairs_per_s = totals.pairs / totals.seconds;
  // The trainer drops the lines that a resumed run writes again, so the log may show no trace of
  // it.
  report.resumed_at = totals.resumed_at;
  const auto last_start = report.identity.resumed_from_step;
  if (last_start > 0 && report.resumed_at.empty()) report.resumed_at.push_back(last_start);
  report.advice = advise(report);
  return report;
}

std::vector<std::string> advise(const RunReport& report) {
  std::vector<std::string> lines;
  advise_on_time(report, lines);
  advise_on_course(report, lines);
  if (lines.empty()) lines.push_back("nothing stands out");
  return lines;
}

json as_json(const RunReport& r) {
  const LogTotals& t = r.log.totals();
  json phases = json::object(), validation = json::array(), checkpoints = json::array();
  for (const PhaseShare& phase : r.phases)
    phases[phase.part] = {{"seconds", phase.seconds}, {"share", phase.share}};
  for (const ValidationPoint& point : r.log.validation())
    validation.push_back({{"step", point.step}, {"values", point.values}});
  for (const CheckpointFolder& c : r.checkpoints) {
    checkpoints.push_back(
        {{"name", c.name}, {"step", c.step}, {"bytes", c.bytes}, {"unix_seconds", c.unix_seconds}});
  }
  return {{"run", r.identity.name},
          {"version", r.identity.version},
          {"config_hash", r.identity.config_hash},
          {"store", r.identity.store},
          {"store_hash", r.identity.store_hash},
          {"world", r.identity.world},
          {"started", r.identity.started},
          {"last_step", t.last_step},
          {"steps_made", t.steps},
          {"skipped", t.skipped},
          {"resumed_at", r.resumed_at},
          {"malformed_lines", t.malformed},
          {"seconds", t.seconds},
          {"pairs_per_s", r.pairs_per_s},
          {"loss_first", finite(t.loss_first)},
          {"loss_last", finite(r.log.loss_last())},
          {"allreduce_share", r.share("allreduce_exposed")},
          {"phases", phases},
          {"validation", validation},
          {"checkpoints", checkpoints},
          {"advice", r.advice},
          {"curve", curve_json(r.log)}};
}

namespace {

template <class... Values>
void add(std::string& text, const char* format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  text += std::string(line) + "\n";
}

std::string lists(const RunReport& r) {
  std::string text = "\nwhere the time went (rank 0)\n";
  for (const PhaseShare& phase : r.phases) {
    const auto cells = static_cast<std::size_t>(std::lround(40 * phase.share));
    add(text, "  %-18s %7s  %s", phase.part.c_str(), percent(phase.share).c_str(),
        std::string(cells, '#').c_str());
  }
  text += "\ncheckpoints\n";
  for (const CheckpointFolder& c : r.checkpoints)
    add(text, "  %s  %.1f MB", c.name.c_str(), static_cast<double>(c.bytes) / 1e6);
  if (r.checkpoints.empty()) text += "  none\n";
  text += "\nadvice\n";
  for (const std::string& advice : r.advice) text += "  - " + advice + "\n";
  return text;
}

}  // namespace

std::string as_text(const RunReport& r) {
  const LogTotals& t = r.log.totals();
  std::string text;
  add(text, "run         %s%s%s", r.identity.name.c_str(),
      r.identity.started.empty() ? "" : ", started ", r.identity.started.c_str());
  add(text, "trained by  homolog %s, %lld rank%s",
      r.identity.version.empty() ? "(unknown)" : r.identity.version.c_str(),
      static_cast<long long>(std::max<std::int64_t>(1, r.identity.world)),
      r.identity.world > 1 ? "s" : "");
  if (!r.identity.store.empty())
    add(text, "store       %s %s", r.identity.store.c_str(), r.identity.store_hash.c_str());
  std::string resumed;
  for (const auto step : r.resumed_at)
    resumed += (resumed.empty() ? "; resumed at step " : ", ") + std::to_string(step);
  add(text, "steps       %lld logged, the last is %lld; %lld skipped%s",
      static_cast<long long>(t.steps), static_cast<long long>(t.last_step),
      static_cast<long long>(t.skipped), resumed.c_str());
  add(text, "loss        %.4g at the start, %.4g at the end (means of 10 steps)", t.loss_first,
      r.log.loss_last());
  if (!r.log.validation().empty() && r.log.validation().back().values.contains("total")) {
    add(text, "held out    %.4g at step %lld", r.log.validation().back().values.at("total"),
        static_cast<long long>(r.log.validation().back().step));
  }
  add(text, "speed       %.4g pairs/s; %s in steps", r.pairs_per_s,
      human_duration(t.seconds).c_str());
  add(text, "all-reduce  %s of the step is spent waiting for it",
      percent(r.share("allreduce_exposed")).c_str());
  return text + lists(r);
}

}  // namespace homolog::monitoring

#include "monitoring/report.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "monitoring/run_watch.h"

namespace homolog::monitoring {
namespace {

using nlohmann::json;

json finite(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

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

// Every step, for a spike is lost in a mean; averaged only beyond 200 000 steps.
LossCurve whole_curve(const std::filesystem::path& run) {
  MetricsLog log(run / "metrics.jsonl", 200'000);
  log.poll();
  const auto& columns = log.columns();
  LossCurve curve;
  const auto values_of = [&](std::size_t c) {
    std::vector<double> values;
    for (const CurvePoint& p : log.points())
      values.push_back(c < p.values.size() ? p.values[c] : NAN);
    return values;
  };
  for (const CurvePoint& point : log.points()) curve.steps.push_back(point.step);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (columns[c] == "total") curve.total = values_of(c);
    if (columns[c].starts_with("term.")) curve.terms[columns[c].substr(5)] = values_of(c);
  }
  return curve;
}

// ALICE's two distillation terms are cross-entropies over that many outputs.
std::map<std::string, double> chances(const std::map<std::string, std::string>& settings) {
  const auto outputs = settings.find("objective.alice.outputs");
  const double count = outputs == settings.end() ? 0 : std::atof(outputs->second.c_str());
  if (count < 2) return {};
  return {{"inter", std::log(count)}, {"intra", std::log(count)}};
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

json end_json(const RunReport& r) {
  json end = {{"state", state_name(r.end.state)},
              {"message", r.end.message},
              {"planned_steps", r.planned > 0 ? json(r.planned) : json(nullptr)},
              {"reached_steps", r.reached},
              {"rank", nullptr}};
  if (r.end.cause) {
    end["rank"] = r.end.cause->rank;
    end["signal"] = r.end.cause->signal;
    end["code"] = r.end.cause->code;
    end["last_line"] = r.end.cause->last_line;
  }
  return end;
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
  RunReport report{read_identity(run), read_settings(run), MetricsLog(run / "metrics.jsonl", 1000),
                   list_checkpoints(run)};
  report.log.poll();
  const LogTotals& totals = report.log.totals();
  if (totals.steps == 0) {
    throw Error(Fault::Data, (run / "metrics.jsonl").string() + " holds no step",
                "wait until training has made a step, or look at log-0.jsonl for why it did not");
  }
  report.planned = planned_steps(run);
  report.reached = totals.last_step + 1;
  report.end =
      read_course(run, report.log, report.checkpoints, report.planned, read_workers(run.string()));
  report.loss = loss_course(whole_curve(run), chances(report.settings));
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
          {"end", end_json(r)},
          {"loss_first", finite(r.loss.first)},
          {"loss_last", finite(r.loss.last)},
          {"loss_best", finite(r.loss.best)},
          {"loss_spikes", r.loss.spikes},
          {"allreduce_share", r.share("allreduce_exposed")},
          {"phases", phases},
          {"validation", validation},
          {"checkpoints", checkpoints},
          {"advice", r.advice},
          {"curve", curve_json(r.log)}};
}

}  // namespace homolog::monitoring

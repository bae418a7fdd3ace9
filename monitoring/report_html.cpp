// The HTML report: one file without scripts or outside resources, fit for mail and archive.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "base/clock.h"
#include "monitoring/part_labels.h"
#include "monitoring/report.h"
#include "monitoring/report_chart.h"

namespace homolog::monitoring {
namespace {

// Colours as in page/page.css.
constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--back:#f5f6f8;--card:#fff;--text:#1b2430;--muted:#667085;--line:#e3e7ed;--good:#16803c;--warn:#b45309;--bad:#c62828;
--c0:#2563eb;--c1:#e07b00;--c2:#12936a;--c3:#b0359b;--c4:#7a5af0;--c5:#c9a400;
--p-data_wait:#e07b00;--p-h2d:#f2b24c;--p-forward:#2563eb;--p-backward:#5b8def;--p-allreduce_exposed:#c2407e;--p-clip:#8a94a6;--p-optimizer:#12936a;--p-ema:#57c09a;--p-checkpoint_block:#7a5af0;--p-other:#c3cad5}
@media (prefers-color-scheme:dark){:root{--back:#0f141b;--card:#171e28;--text:#e6eaf0;--muted:#94a0b3;--line:#263040;--good:#4ade80;--warn:#fbbf24;--bad:#ff7b72;
--c0:#6ea0ff;--c1:#ffad4d;--c2:#43d0a0;--c3:#e97fd6;--c4:#ab97ff;--c5:#ecd04f;--p-other:#465266;--p-clip:#6f7b8f}}
body{font:14px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;background:var(--back);color:var(--text);max-width:1200px;margin:0 auto;padding:24px}
h1{font-size:22px;margin:0}h2{font-size:15px;margin:0 0 8px}p{margin:4px 0 16px;color:var(--muted)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:12px;margin-bottom:12px}
.tiles{grid-template-columns:repeat(auto-fit,minmax(150px,1fr))}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px;min-width:0}
.tiles b{display:block;font-size:20px}.tiles span,small{color:var(--muted);font-size:12px}
svg{width:100%;display:block}svg text{font-size:11px;fill:var(--muted)}svg path{fill:none;stroke-width:1.6;stroke-linejoin:round}
table{border-collapse:collapse;width:100%}td,th{padding:3px 8px;text-align:right;border-top:1px solid var(--line);white-space:nowrap}td:first-child,th:first-child{text-align:left}th{border:0;color:var(--muted);font-weight:500}
td.wide{width:50%}td.value{white-space:normal;overflow-wrap:anywhere}
.meter{height:10px;border-radius:3px;min-width:1px}ul{margin:0;padding-left:18px}i{display:inline-block;width:10px;height:10px;border-radius:3px;margin:0 5px 0 12px}
.advice,.end{border-left:4px solid var(--warn);margin-bottom:12px}.advice.quiet,.end[data-state=ended],.end[data-state=running]{border-left-color:var(--good)}
.end{background:var(--card);color:var(--text);border-radius:6px;padding:10px 14px;overflow-wrap:anywhere}.end[data-state=failed]{border-left-color:var(--bad)}
)";

std::string number(double value, int digits = 4) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return std::isfinite(value) ? text : "\xE2\x80\x93";
}

Series series_of(const MetricsLog& log, const std::string& column, const std::string& name,
                 int color) {
  Series series{name, color};
  const auto& columns = log.columns();
  const auto at =
      static_cast<std::size_t>(std::find(columns.begin(), columns.end(), column) - columns.begin());
  for (const CurvePoint& point : log.points()) {
    if (at < point.values.size() && std::isfinite(point.values[at])) {
      series.points.emplace_back(static_cast<double>(point.step), point.values[at]);
    }
  }
  return series;
}

std::string tile(const std::string& label, const std::string& value, const std::string& note) {
  return "<section><span>" + html_escaped(label) + "</span><b>" + html_escaped(value) +
         "</b><span>" + html_escaped(note) + "</span></section>";
}

std::string tiles(const RunReport& r) {
  const LogTotals& t = r.log.totals();
  return "<div class='grid tiles'>" +
         tile("steps", std::to_string(r.reached),
              (r.planned > 0 ? "of " + std::to_string(r.planned) : "made") +
                  (r.resumed_at.empty() ? ""
                                        : ", resumed at " + std::to_string(r.resumed_at.back()))) +
         tile("loss, last tenth", number(r.loss.last), number(r.loss.first) + " in the first") +
         tile("pairs/s", number(r.pairs_per_s), human_duration(t.seconds) + " in steps") +
         tile("all-reduce", percent(r.share("allreduce_exposed")), "of the step, waiting") +
         tile("skipped steps", std::to_string(t.skipped), "not finite") +
         tile("checkpoints", std::to_string(r.checkpoints.size()),
              r.checkpoints.empty()
                  ? "none"
                  : "the last at step " + std::to_string(r.checkpoints.back().step)) +
         "</div>";
}

// Colours as on the live page; "acc" is a share of right guesses and no loss.
std::string curves(const RunReport& r) {
  Series held{"held-out", 1, {}, true};
  for (const ValidationPoint& point : r.log.validation()) {
    if (point.values.contains("total"))
      held.points.emplace_back(static_cast<double>(point.step), point.values.at("total"));
  }
  const bool has_target = r.checkpoints.empty() || r.checkpoints.back().target;
  std::vector<Series> terms;
  for (const std::string& column : r.log.columns()) {
    if (column.starts_with("term.") && column != "term.acc")
      terms.push_back(
          series_of(r.log, column, column.substr(5), static_cast<int>(terms.size()) + 1));
  }
  return "<div class='grid'>" + chart("Loss", {series_of(r.log, "total", "total", 0), held}) +
         chart("Loss terms", terms) + chart("Accuracy", {series_of(r.log, "term.acc", "acc", 5)}) +
         chart("Gradient norm", {series_of(r.log, "grad_norm", "norm", 3)}) +
         chart("Learning rate", {series_of(r.log, "lr", "lr", 2)}) +
         (has_target ? chart("Target's EMA momentum", {series_of(r.log, "ema", "ema", 4)}) : "") +
         chart("Pairs per second", {series_of(r.log, "pairs_per_s", "pairs/s", 1)}) + "</div>";
}

// Paths stay on their machine: this file is made to be passed on.
std::string without_path(const std::string& value) {
  const auto slash = value.rfind('/');
  return slash == std::string::npos ? value : "\xE2\x80\xA6" + value.substr(slash);
}

std::string words_without_paths(const std::string& text) {
  std::istringstream words(text);
  std::string out;
  for (std::string word; words >> word;)
    out.append(out.empty() ? "" : " ").append(without_path(word));
  return out;
}

std::string tables(const RunReport& r) {
  std::string html =
      "<div class='grid'><section><h2>Where the time went <small>rank 0</small></h2><table>";
  for (const PhaseShare& phase : r.phases) {
    html += "<tr title='" + html_escaped(phase.part) + "'><td>" +
            html_escaped(part_label(phase.part)) +
            "</td><td class='wide'><div class='meter' style='width:" + number(100 * phase.share) +
            "%;background:var(--p-" + html_escaped(phase.part) +
            ",var(--p-other))'></div></td><td>" + html_escaped(percent(phase.share)) + "</td><td>" +
            html_escaped(human_duration(phase.seconds)) + "</td></tr>";
  }
  html +=
      "</table></section><section><h2>Checkpoints</h2><table><tr><th>name</th><th>step</th><th>MB</"
      "th></tr>";
  for (const CheckpointFolder& c : r.checkpoints) {
    html += "<tr><td>" + html_escaped(c.name) + "</td><td>" + std::to_string(c.step) + "</td><td>" +
            number(static_cast<double>(c.bytes) / 1e6) + "</td></tr>";
  }
  html += "</table></section></div><section><h2>Settings</h2><details><summary>" +
          std::to_string(r.settings.size()) + " settings of config.ini</summary><table>";
  for (const auto& [key, value] : r.settings) {
    html += "<tr><td>" + html_escaped(key) + "</td><td class='value'>" +
            html_escaped(without_path(value)) + "</td></tr>";
  }
  return html + "</table></details></section>";
}

}  // namespace

std::string as_html(const RunReport& r) {
  std::string advice;
  for (const std::string& line : r.advice) advice += "<li>" + html_escaped(line) + "</li>";
  const RunIdentity& id = r.identity;
  return "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' "
         "content='width=device-width,initial-scale=1'><title>" +
         html_escaped(id.name) + " \xC2\xB7 report</title><style>" + kStyle +
         "</style></head><body><h1>" + html_escaped(id.name) + "</h1><p>" +
         html_escaped(
             "homolog " + id.version + (id.started.empty() ? "" : ", started " + id.started) +
             (id.world > 0 ? ", " + std::to_string(id.world) + (id.world == 1 ? " rank" : " ranks")
                           : "") +
             (id.store.empty() ? "" : ", pairs from " + id.store + " " + id.store_hash) +
             (id.config_hash.empty() ? "" : ", config " + id.config_hash)) +
         "</p><p class='end' data-state='" + state_name(r.end.state) + "'>" +
         html_escaped(words_without_paths(r.end.message)) + "</p>" + tiles(r) +
         "<section class='advice" + (advice.empty() ? " quiet" : "") + "'><h2>Advice</h2>" +
         (advice.empty() ? "Nothing stands out." : "<ul>" + advice + "</ul>") + "</section>" +
         curves(r) + tables(r) + "</body></html>\n";
}

}  // namespace homolog::monitoring

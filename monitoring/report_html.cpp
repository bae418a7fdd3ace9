// The HTML report: one file without scripts or outside resources, fit for mail and archive.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/clock.h"
#include "monitoring/report.h"

namespace homolog::monitoring {
namespace {

constexpr double kWidth = 560, kHeight = 190, kLeft = 54, kRight = 10, kTop = 10, kBottom = 22;
constexpr const char* kColors[] = {"#2563eb", "#e07b00", "#12936a",
                                   "#b0359b", "#7a5af0", "#c9a400"};

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--back:#f5f6f8;--card:#fff;--text:#1b2430;--muted:#667085;--line:#e3e7ed}
@media (prefers-color-scheme:dark){:root{--back:#0f141b;--card:#171e28;--text:#e6eaf0;--muted:#94a0b3;--line:#263040}}
body{font:14px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;background:var(--back);color:var(--text);max-width:1200px;margin:0 auto;padding:24px}
h1{font-size:22px;margin:0}h2{font-size:15px;margin:0 0 8px}p{margin:4px 0 16px;color:var(--muted)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:12px;margin-bottom:12px}
.tiles{grid-template-columns:repeat(auto-fit,minmax(150px,1fr))}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tiles b{display:block;font-size:20px}.tiles span,small{color:var(--muted);font-size:12px}
svg{width:100%;display:block}svg text{font-size:11px;fill:var(--muted)}svg path{fill:none;stroke-width:1.6;stroke-linejoin:round}
table{border-collapse:collapse;width:100%}td,th{padding:3px 8px;text-align:right;border-top:1px solid var(--line)}td:first-child,th:first-child{text-align:left}th{border:0;color:var(--muted);font-weight:500}
.meter{height:10px;border-radius:3px;background:#2563eb;min-width:1px}.advice{border-left:4px solid #e07b00}ul{margin:0;padding-left:18px}i{display:inline-block;width:10px;height:10px;border-radius:3px;margin:0 5px 0 12px}
)";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string number(double value, int digits = 4) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return std::isfinite(value) ? text : "\xE2\x80\x93";
}

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
  bool dots = false;
};

Series series_of(const MetricsLog& log, const std::string& column, const std::string& name) {
  Series series{name, {}, false};
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

struct Frame {
  double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
  double x(double v) const { return kLeft + (v - x0) / (x1 - x0) * (kWidth - kLeft - kRight); }
  double y(double v) const { return kTop + (y1 - v) / (y1 - y0) * (kHeight - kTop - kBottom); }
};

Frame frame_of(const std::vector<Series>& all) {
  Frame f;
  for (const Series& series : all) {
    for (const auto& [x, y] : series.points) {
      f.x0 = std::min(f.x0, x), f.x1 = std::max(f.x1, x), f.y0 = std::min(f.y0, y),
      f.y1 = std::max(f.y1, y);
    }
  }
  if (f.x1 <= f.x0) f.x1 = f.x0 + 1;
  const double margin = f.y1 > f.y0 ? 0.05 * (f.y1 - f.y0) : std::max(1e-9, 0.05 * std::abs(f.y0));
  f.y0 = f.y0 >= 0 && f.y0 < margin ? 0 : f.y0 - margin;
  f.y1 += margin;
  return f;
}

// About four round values inside [low, high].
std::vector<double> round_ticks(double low, double high) {
  const double raw = (high - low) / 4, power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.5, 2.0, 1.0}) {
    if (factor * power >= 0.7 * raw) step = factor * power;
  }
  std::vector<double> ticks;
  for (double i = std::ceil(low / step); i * step <= high; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string axes(const Frame& f) {
  std::string svg;
  for (const double y : round_ticks(f.y0, f.y1)) {
    svg += "<line x1='" + number(kLeft) + "' x2='" + number(kWidth - kRight) + "' y1='" +
           number(f.y(y)) + "' y2='" + number(f.y(y)) + "' stroke='var(--line)'/><text x='" +
           number(kLeft - 6) + "' y='" + number(f.y(y) + 4) + "' text-anchor='end'>" + number(y) +
           "</text>";
  }
  for (const double x : round_ticks(f.x0, f.x1)) {
    svg += "<text x='" + number(f.x(x)) + "' y='" + number(kHeight - 4) +
           "' text-anchor='middle'>" + number(x, 7) + "</text>";
  }
  return svg;
}

std::string chart(const std::string& title, std::vector<Series> all) {
  std::erase_if(all, [](const Series& s) { return s.points.empty(); });
  std::string html = "<section><h2>" + escaped(title);
  for (std::size_t i = 0; all.size() > 1 && i < all.size(); ++i) {
    html += "<small><i style='background:" + std::string(kColors[i % std::size(kColors)]) +
            "'></i>" + escaped(all[i].name) + "</small>";
  }
  html += "</h2>";
  if (all.empty()) return html + "<p>no values</p></section>";
  const Frame f = frame_of(all);
  html += "<svg viewBox='0 0 " + number(kWidth) + " " + number(kHeight) + "' role='img'>" + axes(f);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string color = kColors[i % std::size(kColors)];
    std::string path;
    for (const auto& [x, y] : all[i].points) {
      if (all[i].dots)
        html += "<circle r='3.5' cx='" + number(f.x(x), 5) + "' cy='" + number(f.y(y), 5) +
                "' fill='" + color + "'/>";
      else
        path += (path.empty() ? "M" : "L") + number(f.x(x), 5) + " " + number(f.y(y), 5);
    }
    if (!path.empty()) html += "<path d='" + path + "' stroke='" + color + "'/>";
  }
  return html + "</svg></section>";
}

std::string tile(const std::string& label, const std::string& value, const std::string& note) {
  return "<section><span>" + escaped(label) + "</span><b>" + escaped(value) + "</b><span>" +
         escaped(note) + "</span></section>";
}

std::string tiles(const RunReport& r) {
  const LogTotals& t = r.log.totals();
  return "<div class='grid tiles'>" +
         tile("last step", std::to_string(t.last_step),
              r.resumed_at.empty() ? "never interrupted"
                                   : "resumed at step " + std::to_string(r.resumed_at.back())) +
         tile("loss at the end", number(r.log.loss_last()),
              number(t.loss_first) + " at the start") +
         tile("pairs/s", number(r.pairs_per_s), human_duration(t.seconds) + " in steps") +
         tile("all-reduce", number(100 * r.share("allreduce_exposed"), 3) + " %",
              "of the step, waiting") +
         tile("skipped steps", std::to_string(t.skipped), "not finite") +
         tile("checkpoints", std::to_string(r.checkpoints.size()),
              r.checkpoints.empty()
                  ? "none"
                  : "the last at step " + std::to_string(r.checkpoints.back().step)) +
         "</div>";
}

std::string curves(const RunReport& r) {
  Series held{"held-out", {}, true};
  for (const ValidationPoint& point : r.log.validation()) {
    if (point.values.contains("total"))
      held.points.emplace_back(static_cast<double>(point.step), point.values.at("total"));
  }
  std::vector<Series> terms;
  for (const std::string& column : r.log.columns()) {
    if (column.starts_with("term.")) terms.push_back(series_of(r.log, column, column.substr(5)));
  }
  return "<div class='grid'>" + chart("Loss", {series_of(r.log, "total", "total"), held}) +
         chart("Loss terms", terms) +
         chart("Gradient norm", {series_of(r.log, "grad_norm", "norm")}) +
         chart("Learning rate", {series_of(r.log, "lr", "lr")}) +
         chart("Target's EMA momentum", {series_of(r.log, "ema", "ema")}) +
         chart("Pairs per second", {series_of(r.log, "pairs_per_s", "pairs/s")}) + "</div>";
}

std::string tables(const RunReport& r) {
  std::string html =
      "<div class='grid'><section><h2>Where the time went <small>rank 0</small></h2><table>";
  for (const PhaseShare& phase : r.phases) {
    html +=
        "<tr><td>" + escaped(phase.part) +
        "</td><td style='width:50%'><div class='meter' style='width:" + number(100 * phase.share) +
        "%'></div></td><td>" + number(100 * phase.share, 3) + " %</td><td>" +
        escaped(human_duration(phase.seconds)) + "</td></tr>";
  }
  html +=
      "</table></section><section><h2>Checkpoints</h2><table><tr><th>name</th><th>step</th><th>MB</"
      "th></tr>";
  for (const CheckpointFolder& c : r.checkpoints) {
    html += "<tr><td>" + escaped(c.name) + "</td><td>" + std::to_string(c.step) + "</td><td>" +
            number(static_cast<double>(c.bytes) / 1e6) + "</td></tr>";
  }
  html += "</table></section></div><section><h2>Settings</h2><details><summary>" +
          std::to_string(r.settings.size()) + " settings of config.ini</summary><table>";
  for (const auto& [key, value] : r.settings) {
    // Paths stay on their machine: this file is made to be passed on.
    const auto slash = value.rfind('/');
    html += "<tr><td>" + escaped(key) + "</td><td>" +
            escaped(slash == std::string::npos ? value : "\xE2\x80\xA6" + value.substr(slash)) +
            "</td></tr>";
  }
  return html + "</table></details></section>";
}

}  // namespace

std::string as_html(const RunReport& r) {
  std::string advice;
  for (const std::string& line : r.advice) advice += "<li>" + escaped(line) + "</li>";
  const RunIdentity& id = r.identity;
  return "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' "
         "content='width=device-width,initial-scale=1'><title>" +
         escaped(id.name) + " \xC2\xB7 report</title><style>" + kStyle +
         "</style></head><body><h1>" + escaped(id.name) + "</h1><p>" +
         escaped("homolog " + id.version + (id.started.empty() ? "" : ", started " + id.started) +
                 (id.world > 0 ? ", " + std::to_string(id.world) + " ranks" : "") +
                 (id.store.empty() ? "" : ", store " + id.store + " " + id.store_hash) +
                 (id.config_hash.empty() ? "" : ", config " + id.config_hash)) +
         "</p>" + tiles(r) +
         "<section class='advice' style='margin-bottom:12px'><h2>Advice</h2><ul>" + advice +
         "</ul></section>" + curves(r) + tables(r) + "</body></html>\n";
}

}  // namespace homolog::monitoring

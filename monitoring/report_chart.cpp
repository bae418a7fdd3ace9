#include "monitoring/report_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace homolog::monitoring {
namespace {

constexpr double kWidth = 560, kHeight = 206, kLeft = 60, kRight = 10, kTop = 10, kBottom = 38;
constexpr int kColors = 6, kMostTicks = 100;
constexpr double kFlat = 1e-9;  // of the values' size

std::string number(double value, int digits = 5) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
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
  // A constant that was averaged differs by rounding alone, too little for ticks between.
  const double size = std::max(std::abs(f.y0), std::abs(f.y1));
  const bool flat = f.y1 - f.y0 <= kFlat * size;
  const double margin = flat ? std::max(1e-9, 0.05 * size) : 0.05 * (f.y1 - f.y0);
  f.y0 = f.y0 >= 0 && f.y0 < margin ? 0 : f.y0 - margin;
  f.y1 += margin;
  return f;
}

struct Ticks {
  double step;
  std::vector<double> at;
};
// About `count` round values inside [low, high]; `whole`: integers alone, as steps are.
Ticks round_ticks(double low, double high, int count, bool whole) {
  const double raw = (high - low) / count, power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.5, 2.0, 1.0}) {
    if (factor * power >= 0.7 * raw) step = factor * power;
  }
  if (whole) step = std::max(1.0, std::ceil(step - 1e-9));
  Ticks ticks{step, {}};
  const double first = std::ceil(low / step);
  for (int i = 0; i < kMostTicks && (first + i) * step <= high; ++i)
    ticks.at.push_back((first + i) * step);
  return ticks;
}

// With just as many decimals as neighbours need to differ.
std::string tick_text(double value, double step, double size) {
  char text[40];
  const int exponent = static_cast<int>(std::floor(std::log10(std::max(size, 1e-300))));
  const auto decimals = [](double unit) {
    int count = 0;
    for (; count < 12 && std::abs(unit - std::round(unit)) > 1e-6 * unit; ++count) unit *= 10;
    return count;
  };
  if (value != 0 && (exponent < -3 || exponent > 5)) {
    const double power = std::pow(10, exponent);
    std::snprintf(text, sizeof text, "%.*fe%d", decimals(step / power), value / power, exponent);
  } else {
    std::snprintf(text, sizeof text, "%.*f", value == 0 ? 0 : decimals(step), value);
  }
  return text;
}

std::string axes(const Frame& f) {
  std::string svg;
  const double size = std::max(std::abs(f.y0), std::abs(f.y1));
  const Ticks rows = round_ticks(f.y0, f.y1, 4, false), columns = round_ticks(f.x0, f.x1, 6, true);
  for (const double y : rows.at) {
    svg += "<line x1='" + number(kLeft) + "' x2='" + number(kWidth - kRight) + "' y1='" +
           number(f.y(y)) + "' y2='" + number(f.y(y)) + "' stroke='var(--line)'/><text x='" +
           number(kLeft - 6) + "' y='" + number(f.y(y) + 4) + "' text-anchor='end'>" +
           tick_text(y, rows.step, size) + "</text>";
  }
  for (const double x : columns.at) {
    svg += "<text x='" + number(f.x(x)) + "' y='" + number(kHeight - 20) +
           "' text-anchor='middle'>" + number(x, 9) + "</text>";
  }
  return svg + "<text x='" + number((kLeft + kWidth - kRight) / 2) + "' y='" + number(kHeight - 4) +
         "' text-anchor='middle'>step</text>";
}

std::string color_of(const Series& series) {
  return "var(--c" + std::to_string(series.color % kColors) + ")";
}

}  // namespace

std::string html_escaped(const std::string& text) {
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
    else if (c == '\'')
      out += "&#39;";
    else
      out += c;
  }
  return out;
}

std::string chart(const std::string& title, std::vector<Series> all) {
  std::erase_if(all, [](const Series& s) { return s.points.empty(); });
  if (all.empty()) return "";
  std::string html = "<section><h2>" + html_escaped(title);
  for (const Series& series : all) {
    if (all.size() > 1)
      html += "<small><i style='background:" + color_of(series) + "'></i>" +
              html_escaped(series.name) + "</small>";
  }
  const Frame f = frame_of(all);
  html += "</h2><svg viewBox='0 0 " + number(kWidth) + " " + number(kHeight) + "' role='img'>" +
          axes(f);
  for (const Series& series : all) {
    std::string path;
    for (const auto& [x, y] : series.points) {
      if (series.dots)
        html += "<circle r='3.5' cx='" + number(f.x(x)) + "' cy='" + number(f.y(y)) +
                "' style='fill:" + color_of(series) + "'/>";
      else
        path.append(path.empty() ? "M" : "L").append(number(f.x(x)) + " " + number(f.y(y)));
    }
    if (!path.empty()) html += "<path d='" + path + "' style='stroke:" + color_of(series) + "'/>";
  }
  return html + "</svg></section>";
}

}  // namespace homolog::monitoring

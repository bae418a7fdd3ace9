#include "base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace homolog {
namespace {
constexpr double kTerminalEvery = 0.1;  // seconds between redraws
constexpr double kPlainEvery = 10.0;    // seconds between lines in a log
constexpr int kBarCells = 24;

// Three digits, without an exponent: "0.29", "76.2", "8923".
std::string rate_text(double rate) {
  char text[40];
  std::snprintf(text, sizeof text, rate < 999.5 ? "%.3g" : "%.0f", rate);
  return text;
}
}  // namespace

Progress::Progress(std::string label, std::int64_t total, std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      terminal_(isatty(STDERR_FILENO)) {}

Progress::~Progress() { finish(); }

std::string Progress::line(const std::string& label, std::int64_t done, std::int64_t total,
                           double seconds, const std::string& unit) {
  char text[160];
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  if (total <= 0) {
    std::snprintf(text, sizeof text, "%lld %s, %s/s", static_cast<long long>(done), unit.c_str(),
                  rate_text(rate).c_str());
    return label + ": " + text;
  }
  std::snprintf(text, sizeof text, "%lld/%lld %s (%d %%), %s/s", static_cast<long long>(done),
                static_cast<long long>(total), unit.c_str(),
                static_cast<int>(100 * done / std::max<std::int64_t>(1, total)),
                rate_text(rate).c_str());
  std::string result = label + ": " + text;
  if (done < total && rate > 0) {
    result += ", " + human_duration(static_cast<double>(total - done) / rate) + " left";
  }
  return result;
}

void Progress::show(bool last) {
  std::string text = line(label_, done_, total_, watch_.seconds(), unit_);
  if (last) text += ", took " + human_duration(watch_.seconds());
  if (!note_.empty()) text += "  " + note_;
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return;
  }
  std::string bar;
  if (total_ > 0) {
    const int full = static_cast<int>(kBarCells * std::min(done_, total_) / total_);
    bar = "[" + std::string(full, '#') + std::string(kBarCells - full, '.') + "] ";
  }
  std::fprintf(stderr, "\r\033[K%s%s%s", bar.c_str(), text.c_str(), last ? "\n" : "");
}

void Progress::advance(std::int64_t by, const std::string& note) {
  const std::lock_guard lock(mutex_);
  done_ += by;
  if (!note.empty()) note_ = note;
  const double now = watch_.seconds();
  if (shown_at_ >= 0 && now - shown_at_ < (terminal_ ? kTerminalEvery : kPlainEvery)) return;
  shown_at_ = now;
  show(false);
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  if (done_ > 0) show(true);
}

}  // namespace homolog

#include "monitoring/metrics_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace homolog::monitoring {
namespace {

using nlohmann::json;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kLongestLine = 1 << 16;
constexpr std::size_t kMostTerms = 32;

struct Alias {
  const char *column, *key;
};
constexpr Alias kAliases[] = {{"epoch", "epoch"},
                              {"total", "total"},
                              {"total", "loss"},
                              {"lr", "lr"},
                              {"lr", "learning_rate"},
                              {"wd", "wd"},
                              {"wd", "weight_decay"},
                              {"ema", "ema"},
                              {"ema", "ema_momentum"},
                              {"grad_norm", "grad_norm"},
                              {"grad_norm", "gradient_norm"},
                              {"seconds", "seconds"},
                              {"seconds", "step_seconds"},
                              {"pairs_per_s", "pairs_per_s"}};

double number(const json& j) { return j.is_number() ? j.get<double>() : kNone; }

std::map<std::string, double> row_of(const json& line) {
  std::map<std::string, double> row;
  for (const Alias& alias : kAliases) {
    if (const auto it = line.find(alias.key); it != line.end())
      row.emplace(alias.column, number(*it));
  }
  if (const auto terms = line.find("terms"); terms != line.end() && terms->is_object()) {
    for (const auto& [name, value] : terms->items()) {
      if (name == "total")
        row.emplace("total", number(value));
      else if (value.is_number())
        row.emplace("term." + name, number(value));
    }
  }
  return row;
}

}  // namespace

MetricsLog::MetricsLog(std::filesystem::path file, std::size_t max_points)
    : file_(std::move(file)), max_points_(std::max<std::size_t>(max_points, 2)) {
  reset();
}

void MetricsLog::reset() {
  columns_ = {"epoch", "total", "lr", "wd", "ema", "grad_norm", "seconds", "pairs_per_s"};
  points_.clear();
  validation_.clear();
  bucket_ = {};
  offset_ = 0;
  rest_.clear();
  totals_ = {};
  stride_ = 1;
  ++generation_;
}

bool MetricsLog::poll() {
  const int descriptor = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && (static_cast<std::uint64_t>(status.st_size) < offset_ ||
                                            (inode_ != 0 && status.st_ino != inode_))) {
    reset();
  }
  inode_ = status.st_ino;
  std::string buffer(1 << 20, '\0');
  bool any = false;
  for (;;) {
    const ssize_t n =
        ::pread(descriptor, buffer.data(), buffer.size(), static_cast<off_t>(offset_));
    if (n <= 0) break;
    any = true;
    offset_ += static_cast<std::uint64_t>(n);
    rest_.append(buffer.data(), static_cast<std::size_t>(n));
    std::size_t begin = 0;
    for (std::size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      feed(std::string_view(rest_).substr(begin, end - begin));
    }
    rest_.erase(0, begin);
    if (rest_.size() > kLongestLine) {
      rest_.clear();
      ++totals_.malformed;
    }
  }
  ::close(descriptor);
  return any;
}

void MetricsLog::feed(std::string_view text) {
  if (text.find_first_not_of(" \t\r") == std::string_view::npos) return;
  const json line = json::parse(text, nullptr, false);
  if (!line.is_object() || !line.contains("step") || !line["step"].is_number()) {
    ++totals_.malformed;
    return;
  }
  const auto step = line["step"].get<std::int64_t>();
  if (const auto it = line.find("validation"); it != line.end()) {
    ValidationPoint point{step, {}};
    if (it->is_number()) point.values["total"] = it->get<double>();
    for (const auto& [name, value] : it->items()) {
      if (it->is_object() && value.is_number()) point.values[name] = value.get<double>();
    }
    std::erase_if(validation_, [step](const auto& v) { return v.step >= step; });
    validation_.push_back(std::move(point));
    if (validation_.size() > max_points_) validation_.erase(validation_.begin());
    return;
  }
  if (step <= totals_.last_step) forget_from(step);
  const auto row = row_of(line);
  add(step, row);
  totals_.last_step = step;
  ++totals_.steps;
  if (line.value("skipped", json(false)) == json(true)) {
    ++totals_.skipped;
    totals_.last_skipped = step;
  }
  const auto value = [&](const char* name) {
    return row.contains(name) && std::isfinite(row.at(name)) ? row.at(name) : 0;
  };
  totals_.seconds += value("seconds");
  totals_.pairs += value("seconds") * value("pairs_per_s");
  if (const auto parts = line.find("parts"); parts != line.end() && parts->is_object()) {
    for (const auto& [name, seconds] : parts->items()) {
      if (seconds.is_number()) totals_.part_seconds[name] += seconds.get<double>();
    }
  }
}

// The run went back to a checkpoint: what came after it is no longer part of the curve.
void MetricsLog::forget_from(std::int64_t step) {
  totals_.resumed_at.push_back(step);
  std::erase_if(points_, [step](const auto& p) { return p.step >= step; });
  std::erase_if(validation_, [step](const auto& v) { return v.step >= step; });
  bucket_ = {};
  ++generation_;
}

std::size_t MetricsLog::column(const std::string& name) {
  const auto it = std::find(columns_.begin(), columns_.end(), name);
  if (it != columns_.end()) return static_cast<std::size_t>(it - columns_.begin());
  columns_.push_back(name);
  ++generation_;
  return columns_.size() - 1;
}

void MetricsLog::add(std::int64_t step, const std::map<std::string, double>& row) {
  bucket_.step = step;
  ++bucket_.lines;
  for (const auto& [name, value] : row) {
    if (!std::isfinite(value) || (columns_.size() > kMostTerms && name.starts_with("term.")))
      continue;
    const std::size_t c = column(name);
    bucket_.sums.resize(columns_.size());
    bucket_.counts.resize(columns_.size());
    bucket_.sums[c] += value;
    ++bucket_.counts[c];
  }
  if (bucket_.lines >= stride_) close_bucket();
}

void MetricsLog::close_bucket() {
  CurvePoint point{bucket_.step, std::vector<double>(columns_.size(), kNone)};
  for (std::size_t c = 0; c < bucket_.sums.size(); ++c) {
    if (bucket_.counts[c] > 0)
      point.values[c] = bucket_.sums[c] / static_cast<double>(bucket_.counts[c]);
  }
  points_.push_back(std::move(point));
  bucket_ = {};
  if (points_.size() > max_points_) thin();
}

void MetricsLog::thin() {
  std::vector<CurvePoint> half;
  for (std::size_t i = 0; i + 1 < points_.size(); i += 2) {
    CurvePoint merged = std::move(points_[i + 1]);
    for (std::size_t c = 0; c < points_[i].values.size(); ++c) {
      const double before = points_[i].values[c];
      double& after = merged.values[c];
      if (std::isfinite(before)) after = std::isfinite(after) ? (before + after) / 2 : before;
    }
    half.push_back(std::move(merged));
  }
  if (points_.size() % 2 == 1) half.push_back(std::move(points_.back()));
  points_ = std::move(half);
  stride_ *= 2;
  ++generation_;
}

}  // namespace homolog::monitoring

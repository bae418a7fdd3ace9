// What happened in a run, from its folder alone: made once, shown as text, JSON or one HTML file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "monitoring/loss_course.h"
#include "monitoring/metrics_log.h"
#include "monitoring/run_course.h"
#include "monitoring/run_files.h"

namespace homolog::monitoring {

struct PhaseShare {
  std::string part;  // "data_wait"
  double seconds;
  double share;  // of all parts, 0 to 1
};

struct RunReport {
  RunIdentity identity;
  std::map<std::string, std::string> settings;
  MetricsLog log;
  std::vector<CheckpointFolder> checkpoints;
  std::int64_t planned = -1, reached = 0;  // steps; -1: unknown
  RunCourse end = {};                      // complete, stopped, died, or still running
  LossCourse loss = {};
  std::vector<PhaseShare> phases = {};  // longest first
  std::vector<std::int64_t> resumed_at =
      {};                                // where the log, or at the least the last start, went on
  double pairs_per_s = 0;                // over the steps alone
  std::vector<std::string> advice = {};  // empty: nothing stands out
  double share(const std::string& part) const;  // 0 when unknown
};

// Throws Fault::Data when `run` is no run folder or holds no metrics.
RunReport read_report(const std::filesystem::path& run);

// Pure: sentences like "waiting for data is 14 % of the step: raise data.threads from 1 to 2".
std::vector<std::string> advise(const RunReport& report);

std::string percent(double share);  // "14 %", "0.4 %", "< 0.1 %"
std::string as_text(const RunReport& report);
nlohmann::json as_json(const RunReport& report);
std::string as_html(const RunReport& report);  // self-contained: curves are inline SVG, no script

}  // namespace homolog::monitoring

// Prometheus metrics of a run, made from the boards at the moment of the scrape: nothing freezes.
// Names, labels and units: docs/guide/monitoring.md.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <filesystem>
#include <vector>

#include "monitoring/run_files.h"
#include "monitoring/run_watch.h"

namespace homolog::monitoring {

class BoardCollector final : public prometheus::Collectable {
 public:
  explicit BoardCollector(std::filesystem::path run) : run_(std::move(run)) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  std::filesystem::path run_;
};

// Pure part: the families for these workers at this time.
std::vector<prometheus::MetricFamily> families(const std::vector<WorkerState>& workers,
                                               const RunIdentity& identity, double now_unix);

}  // namespace homolog::monitoring

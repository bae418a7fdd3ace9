// Real steps instead of a model: one worker of homolog train on this machine, with the same
// configuration, in a folder that is removed afterwards.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cluster/plan/forecast.h"

namespace homolog {

struct ProbePlan {
  std::int64_t steps = 20;         // measured, after three to warm up
  std::string device = "auto";     // of the worker
  std::vector<std::string> words;  // the configuration: --config, --set
  std::int64_t sharers = 1;        // workers that will share this machine's cores
};

// Throws with the worker's own fault when it fails, and Fault::Stopped when asked to stop.
plan::Probe probe(const ProbePlan& plan);

// The figures of a run's metrics.jsonl, its first `warm_up` steps left out. Throws Fault::Data when
// nothing is left.
plan::Probe read_probe(const std::filesystem::path& metrics, std::int64_t warm_up);

}  // namespace homolog

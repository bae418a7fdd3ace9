// The folder of one run: config.ini, manifest.json, log-RANK.jsonl, metrics.jsonl, checkpoints/.
// Rank 0 writes everything but the other ranks' logs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "base/run_lock.h"
#include "cluster/comm/communicator.h"

namespace homolog::train {

struct RunManifest {
  std::string program, config, started;
  int world = 1;
  std::int64_t resumed_from_step = -1;  // -1: not resumed
  std::map<std::string, std::string> identity;
};

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  const std::filesystem::path& path() const noexcept { return folder_; }
  std::filesystem::path checkpoints() const { return folder_ / "checkpoints"; }
  std::filesystem::path log(int rank) const;

  // Rank 0 takes it for all until the lock goes, before anybody writes there: all ranks call it,
  // and all throw when another run works there (Fault::Usage) or it cannot be written.
  std::unique_ptr<RunLock> hold(comm::Communicator& communicator) const;
  // Exit code of a run that ends on request without saving: 75 promises a checkpoint to go on from.
  int code_of_leaving() const;
  // Makes the folders and writes config.ini and manifest.json. Throws Fault::Environment.
  void write(const RunManifest& manifest) const;
  // Removes checkpoints and metrics of an earlier run in this folder (--overwrite).
  void clear() const;
  // Forgets lines of metrics.jsonl from `step` on: a resumed run writes them again.
  void trim_metrics(std::int64_t step) const;

 private:
  std::filesystem::path folder_;
};

// Appends lines to metrics.jsonl. A full disk is told once and never stops training.
class MetricsFile {
 public:
  explicit MetricsFile(const RunFolder& folder);
  void append(const std::string& line);

 private:
  std::ofstream out_;
  bool told_ = false;
};

}  // namespace homolog::train

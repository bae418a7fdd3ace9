// What homolog shard says before, during and after.
#pragma once

#include <filesystem>
#include <memory>

#include "base/progress.h"
#include "sharding/shard_builder.h"

namespace homolog {

// One line on stderr before it starts: what there is to do, and what it will hold.
void tell_forecast(const shard::DiskForecast& forecast, const std::filesystem::path& out);

// The bar; of all processes together.
class ShardProgress {
 public:
  ShardProgress(std::int64_t total, std::filesystem::path out)
      : total_(total), out_(std::move(out)) {}
  void show(const shard::Standing& standing);
  void finish();

 private:
  std::int64_t total_, shown_ = 0;
  std::filesystem::path out_;
  bool warned_ = false;
  std::unique_ptr<Progress> bar_;  // from the first standing on: what was there is no progress
};

struct ShardOutcome {
  const store::StoreManifest& manifest;
  const shard::BuildCounts& counts;
  std::filesystem::path store;
  std::string spacing;
  std::int64_t landmarks;  // of the whole store
};
// On stdout: lines of key and value, or one JSON line.
void report(const ShardOutcome& outcome, bool json);

}  // namespace homolog

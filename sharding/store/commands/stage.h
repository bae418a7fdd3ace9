// Copies shards to a disk of this node, where `data.staged` reads them. A copy appears by rename,
// whole and of the hash that store.json names, so a kill at any moment leaves nothing that is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>

namespace homolog::store {

struct StagePlan {
  std::filesystem::path to;  // the copies come to TO/<hash of the store>/
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();  // bytes of this store's copies
  std::uint64_t reserve = std::uint64_t{1} << 30;                   // bytes left free on the disk
  int threads = 4;
  bool prune = false;  // remove other stores' copies in TO first
};

struct StageResult {
  std::int64_t shards = 0, staged = 0, copied = 0, kept = 0;  // staged = copied + kept
  std::int64_t replaced = 0;                                  // of the copied: damaged copies
  std::int64_t dropped = 0;                                   // copies beyond the limit, removed
  std::int64_t pruned = 0;                                    // other stores' folders, removed
  std::uint64_t bytes = 0, staged_bytes = 0;                  // of the store; of its copies now
  std::filesystem::path folder;
};

// What is happening, for a bar.
struct StageProgress {
  std::function<void(std::uint64_t bytes)> started;   // bytes to read: copies to check and to make
  std::function<void(std::uint64_t bytes)> advanced;  // so many more; from any thread
  std::function<void(const std::string& holder)> waiting;  // for another process on this node
};

// In listed order as many shards as fit the limit and the free space. One process works in a folder
// at a time, the next ones wait. Throws Fault::Environment: nothing fits, disk full, no permission;
// Fault::Data: no store, a shard of it is damaged or missing; Fault::Stopped.
StageResult stage(const std::filesystem::path& store, const StagePlan& plan,
                  const StageProgress& progress = {});

}  // namespace homolog::store

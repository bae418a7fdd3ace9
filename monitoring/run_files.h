// What a run folder says about itself: identity, settings, checkpoints. Only reads, and takes what
// is there: a run may be starting, half copied, or written by an older version.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace homolog::monitoring {

struct RunIdentity {
  std::string name;                     // the folder's name
  std::string config_hash;              // xxh3 of config.ini, "" when there is none
  std::string store_hash;               // from manifest.json, "" when unknown
  std::string store;                    // the store's folder name, never a whole path
  std::string version;                  // homolog version and commit that trained
  std::string started;                  // UTC
  std::int64_t world = 0;               // ranks, 0 when unknown
  std::int64_t resumed_from_step = -1;  // of the last start; -1: from nothing
};
RunIdentity read_identity(const std::filesystem::path& run);

// "section.key" -> text of RUN/config.ini; empty when there is none.
std::map<std::string, std::string> read_settings(const std::filesystem::path& run);

struct CheckpointFolder {
  std::string name;  // "step-00000120"
  std::int64_t step;
  double unix_seconds;  // when it was completed
  std::uint64_t bytes;
};
// Complete ones (a manifest lies inside), oldest step first.
std::vector<CheckpointFolder> list_checkpoints(const std::filesystem::path& run);

}  // namespace homolog::monitoring

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
  bool target;  // holds a target network; not every objective has one
};
// Complete ones (a manifest lies inside), oldest step first.
std::vector<CheckpointFolder> list_checkpoints(const std::filesystem::path& run);

// How a worker ended, as its keeper wrote it down (RUN/exit/rank-K.json).
struct WorkerEnd {
  int rank = 0;
  bool ended = false;    // false: still running, or killed together with its keeper
  int code = 0;          // when it exited by itself
  int signal = 0;        // not 0: killed by it
  bool told_to = false;  // it ended after it had been sent SIGTERM
  double ended_unix = 0;
  std::string last_line = {};  // the last that it wrote to stderr
};
// By rank, without those that cannot be read or are older than the run's last start. Empty for a
// run without the launcher.
std::vector<WorkerEnd> read_ends(const std::filesystem::path& run);

// Steps of the whole run: schedule.steps, or what the run told at its start; -1 when neither says.
std::int64_t planned_steps(const std::filesystem::path& run);

// When metrics.jsonl last grew, unix s; 0 when there is none.
double last_sign(const std::filesystem::path& run);

}  // namespace homolog::monitoring

// How one worker ended: written by its keeper as RUN/exit/rank-K.json, read by the launcher,
// because mpirun and srun hand on one exit code for all ranks and name no cause.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace homolog::launcher {

struct ExitRecord {
  int rank = 0;
  std::string host = {};
  int pid = 0;            // of the worker
  bool ended = false;     // false: still running, or killed together with its keeper
  int code = 0;           // exit code, when it exited by itself
  int signal = 0;         // not 0: killed by this signal
  bool stopped = false;   // not ended but held by SIGSTOP: the others wait for it
  bool told_to = false;   // it ended after the launcher or SLURM had sent SIGTERM: not the cause
  double ended_unix = 0;  // s
  std::string last_line = {};  // the last line that it wrote to stderr

  bool failed() const { return ended && (signal != 0 || (code != 0 && code != 75)); }
};

std::filesystem::path exit_folder(const std::filesystem::path& run);

std::string to_json(const ExitRecord& record);
// Throws Fault::Data on text that is no exit record.
ExitRecord from_json(const std::string& text, const std::string& where);

// Atomic. Throws Fault::Environment.
void write_exit_record(const std::filesystem::path& run, const ExitRecord& record);
// Those that are there and readable, by rank.
std::vector<ExitRecord> read_exit_records(const std::filesystem::path& run);
// Throws Fault::Environment when one stays.
void remove_exit_records(const std::filesystem::path& run);

}  // namespace homolog::launcher

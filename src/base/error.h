// The only exception homolog throws, and the exit code that each kind of fault ends in.
// A library throws; run_main() (run_main.h) alone prints and maps the fault to an exit code.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

namespace homolog {

// Exit codes are a published contract (docs/guide/exit-codes.md): never renumber.
enum class Fault : int {
  Usage = 2,        // wrong option, config, or combination of them
  Data = 3,         // an input is missing, broken, or of another version
  Environment = 4,  // machine: GPU, MPI, NCCL, network, disk full, port in use
  Diverged = 5,     // training produced non-finite numbers for too long
  Replicas = 6,     // ranks no longer hold the same weights
  Stopped = 75,     // stopped on request, resumable: requeue
  NoProgress = 93,  // restarted without progress: do not requeue
};

int exit_code(Fault fault) noexcept;
const char* fault_name(Fault fault) noexcept;  // "usage", "data", ...

// what() reads "WHAT" or "WHAT\n  fix: REMEDY". WHAT names the file, key or rank concerned.
class Error : public std::runtime_error {
 public:
  Error(Fault fault, const std::string& what, const std::string& remedy = "",
        std::source_location where = std::source_location::current());
  Fault fault() const noexcept { return fault_; }
  const std::string& summary() const noexcept { return summary_; }  // WHAT alone
  const std::string& remedy() const noexcept { return remedy_; }
  std::string where() const;  // "file.cpp:12", for logs

 private:
  Fault fault_;
  std::string summary_, remedy_;
  std::source_location where_;
};

}  // namespace homolog

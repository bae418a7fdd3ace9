// One run at a time in a folder: a kernel's lock on a small file that names its holder. It ends
// with its holder, by whatever signal; over NFS Linux makes a byte-range lock of it, which outlives
// a dead node by its lease.
#pragma once

#include <filesystem>

namespace homolog {

class RunLock {
 public:
  // Of whoever trains there (rank 0), and of its launcher.
  static constexpr const char *kTrainer = "lock", *kLauncher = "launch.lock";

  // Makes the folder `run` and takes RUN/NAME, waiting up to `patience` seconds for a holder that
  // is about to end, 2 minutes for another host's, whose node may be dead. Throws Fault::Usage
  // naming host and pid of the holder, or when `run` is a file; Fault::Environment when it cannot
  // be made or written. On a file system without locks it warns and protects nothing.
  RunLock(const std::filesystem::path& run, const char* name, double patience);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  // Throws Fault::Usage as above when somebody holds it; makes and changes nothing.
  static void require_free(const std::filesystem::path& run, const char* name);

 private:
  int descriptor_ = -1;
};

}  // namespace homolog

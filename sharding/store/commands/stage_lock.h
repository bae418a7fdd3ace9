// One process at a time in a folder of staged shards; the kernel frees it however its holder ends.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace homolog::store {

class StageLock {
 public:
  static constexpr const char* kName = "lock";

  // Waits for the holder; `waiting(its pid)` once before. Throws Fault::Environment when the lock
  // cannot be made, Fault::Stopped when asked to stop meanwhile.
  StageLock(const std::filesystem::path& folder,
            const std::function<void(const std::string&)>& waiting);
  ~StageLock();
  StageLock(const StageLock&) = delete;
  StageLock& operator=(const StageLock&) = delete;

  static bool is_free(const std::filesystem::path& folder);

 private:
  int descriptor_ = -1;
};

}  // namespace homolog::store

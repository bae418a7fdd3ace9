#include "sharding/store/commands/stage_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/stop_signal.h"

namespace homolog::store {
namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const fs::path& file, int code) {
  throw Error(Fault::Environment, "cannot lock " + file.string() + ": " + std::strerror(code),
              "choose a disk of this node for --to that you may write");
}

}  // namespace

StageLock::StageLock(const fs::path& folder,
                     const std::function<void(const std::string&)>& waiting) {
  const fs::path file = folder / kName;
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail(file, errno);
  for (bool told = false; ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0;) {
    const int code = errno;
    try {
      if (code != EWOULDBLOCK && code != EINTR) fail(file, code);
      stop_if_asked("another process stages to " + folder.string(), "run the same command again");
    } catch (...) {
      ::close(descriptor_);
      throw;
    }
    if (!told && waiting) {
      std::string holder;
      std::ifstream(file) >> holder;
      waiting(holder);
    }
    told = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(descriptor_, 0) == 0)  // only told to who waits: a full disk does not matter
      [[maybe_unused]]
    const auto written = ::pwrite(descriptor_, pid.data(), pid.size(), 0);
}

// The file stays: a removed one could be locked by two, each with its own.
StageLock::~StageLock() { ::close(descriptor_); }

bool StageLock::is_free(const fs::path& folder) {
  const int descriptor = ::open((folder / kName).c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return true;
  const bool free = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
  ::close(descriptor);
  return free;
}

}  // namespace homolog::store

#include "base/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/own_host.h"
#include "base/stop_signal.h"

namespace homolog {
namespace {

namespace fs = std::filesystem;

// s: a file server frees what a dead host held when that host's lease ends, 90 s on Linux.
constexpr double kLease = 120;

[[noreturn]] void cannot(const std::string& doing, const fs::path& run, const std::string& why) {
  throw Error(Fault::Environment,
              "cannot " + doing + " the run folder " + run.string() + ": " + why,
              "give --run a folder that you may write");
}

void make_folder(const fs::path& run) {
  std::error_code code;
  if (fs::exists(run, code) && !fs::is_directory(run, code)) {
    throw Error(Fault::Usage, "--run " + run.string() + " is a file, not a folder",
                "give --run a folder; it need not exist yet");
  }
  fs::create_directories(run, code);
  if (code) cannot("make", run, code.message());
}

// What the holder wrote: "host H, pid P, since T".
std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

[[noreturn]] void refuse(const fs::path& run, const fs::path& file) {
  const std::string holder = first_line(file);
  throw Error(Fault::Usage,
              "another run works in " + run.string() + ": " +
                  (holder.empty() ? "its holder is just starting" : holder),
              "wait for its end or stop it there with `kill -TERM PID`, or give another --run");
}

// True: taken. Where the file system knows no locks, nobody is kept out.
bool take(int descriptor, int how, const fs::path& file) {
  if (::flock(descriptor, how | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK || errno == EINTR || errno == EACCES) return false;
  log::warn("no lock: a second run in this folder would not be noticed",
            {{"file", file}, {"reason", std::strerror(errno)}});
  return true;
}

// True: taken within `patience` seconds; within kLease where the holder is another host's. A stop
// signal ends the wait.
bool wait_for(int descriptor, int how, const fs::path& file, double patience) {
  const Stopwatch watch;
  for (bool told = false; !take(descriptor, how, file);) {
    const std::string holder = first_line(file);
    const bool elsewhere =
        holder.starts_with("host ") && !holder.starts_with("host " + own_host() + ",");
    const double limit = elsewhere ? std::max(patience, kLease) : patience;
    if (watch.seconds() > limit || stop_signals_received() > 0) return false;
    if (elsewhere && !std::exchange(told, true)) {
      log::info("the run folder is held from another host; a dead one's hold ends within 2 minutes",
                {{"holder", holder}});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

std::string own_line() {
  return "host " + own_host() + ", pid " + std::to_string(::getpid()) + ", since " +
         utc_timestamp() + "\n";
}

}  // namespace

RunLock::RunLock(const fs::path& run, const char* name, double patience) {
  make_folder(run);
  const fs::path file = run / name;
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) cannot("write to", run, std::strerror(errno));
  if (!wait_for(descriptor, LOCK_EX, file, patience)) {
    ::close(descriptor);
    refuse(run, file);
  }
  const std::string line = own_line();
  if (::ftruncate(descriptor, 0) != 0 ||
      ::pwrite(descriptor, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
    const std::string why = std::strerror(errno);
    ::close(descriptor);
    cannot("write to", run, why);
  }
  descriptor_ = descriptor;
}

// The file stays: a removed one could be locked by two, each with its own.
RunLock::~RunLock() {
  [[maybe_unused]] const int emptied = ::ftruncate(descriptor_, 0);
  ::close(descriptor_);
}

void RunLock::require_free(const fs::path& run, const char* name) {
  const fs::path file = run / name;
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  const bool free = wait_for(descriptor, LOCK_SH, file, 0);
  ::close(descriptor);
  if (!free) refuse(run, file);
}

}  // namespace homolog

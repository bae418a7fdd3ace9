#include "base/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

namespace homolog {
namespace {

namespace fs = std::filesystem;

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
std::string holder_of(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line.empty() ? "its holder is just starting" : line;
}

[[noreturn]] void refuse(const fs::path& run, const fs::path& file) {
  throw Error(Fault::Usage, "another run works in " + run.string() + ": " + holder_of(file),
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

std::string own_line() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  return "host " + std::string(host) + ", pid " + std::to_string(::getpid()) + ", since " +
         utc_timestamp() + "\n";
}

}  // namespace

RunLock::RunLock(const fs::path& run, const char* name, double patience) {
  make_folder(run);
  const fs::path file = run / name;
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) cannot("write to", run, std::strerror(errno));
  const Stopwatch watch;
  while (!take(descriptor, LOCK_EX, file)) {
    if (watch.seconds() > patience) {
      ::close(descriptor);
      refuse(run, file);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
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
  const bool free = take(descriptor, LOCK_SH, file);
  ::close(descriptor);
  if (!free) refuse(run, file);
}

}  // namespace homolog

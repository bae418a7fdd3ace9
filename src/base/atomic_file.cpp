#include "base/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "base/error.h"

namespace homolog {
namespace {

constexpr std::string_view kMark = ".tmp-";

[[noreturn]] void fail(const std::string& doing, const std::filesystem::path& path, int code) {
  throw Error(Fault::Environment,
              "cannot " + doing + " " + path.string() + ": " + std::strerror(code),
              code == ENOSPC || code == EDQUOT ? "free space there, or choose another disk"
                                               : "check that the folder exists and is writable");
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

std::filesystem::path temporary_beside(const std::filesystem::path& final_name) {
  static std::atomic<int> serial{0};
  return final_name.string() + std::string(kMark) + host_name() + "-" + std::to_string(getpid()) +
         "-" + std::to_string(serial++);
}

void fsync_path(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("open", path, errno);
  const int rc = ::fsync(descriptor);
  const int code = errno;
  ::close(descriptor);
  if (rc != 0) fail("flush", path, code);
}

void write_file_atomically(const std::filesystem::path& file, std::string_view text) {
  PendingPath pending(file);
  const int descriptor =
      ::open(pending.temporary().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) fail("create", file, errno);
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(descriptor, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int code = errno;
      ::close(descriptor);
      fail("write", file, code);
    }
    done += static_cast<std::size_t>(n);
  }
  if (::close(descriptor) != 0) fail("write", file, errno);
  pending.publish();
}

PendingPath::PendingPath(std::filesystem::path final_name)
    : final_(std::move(final_name)), temporary_(temporary_beside(final_)) {}

PendingPath::~PendingPath() {
  if (published_) return;
  std::error_code ignored;
  std::filesystem::remove_all(temporary_, ignored);
}

void PendingPath::publish() {
  if (std::filesystem::is_directory(temporary_)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(temporary_)) {
      fsync_path(entry.path());
    }
  }
  fsync_path(temporary_);
  if (::rename(temporary_.c_str(), final_.c_str()) != 0) fail("rename to", final_, errno);
  published_ = true;
  fsync_path(final_.has_parent_path() ? final_.parent_path() : std::filesystem::path("."));
}

int remove_leftovers(const std::filesystem::path& folder) {
  int removed = 0;
  std::error_code ignored;
  const std::string mine = std::string(kMark) + host_name() + "-";
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const auto at = name.rfind(mine);
    if (at == std::string::npos) continue;
    const pid_t owner = static_cast<pid_t>(std::atol(name.c_str() + at + mine.size()));
    if (owner <= 0 || ::kill(owner, 0) == 0 || errno != ESRCH) continue;
    if (std::filesystem::remove_all(entry.path(), ignored) > 0) ++removed;
  }
  return removed;
}

}  // namespace homolog

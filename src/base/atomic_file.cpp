#include "base/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/own_host.h"

namespace homolog {
namespace {

namespace fs = std::filesystem;

// NAME.tmp-HOST-PID-TOKEN.SERIAL
constexpr std::string_view kMark = ".tmp-";
constexpr auto kForeignAge = std::chrono::hours(24);

[[noreturn]] void fail(const std::string& doing, const fs::path& path, int code) {
  throw Error(Fault::Environment,
              "cannot " + doing + " " + path.string() + ": " + std::strerror(code),
              code == ENOSPC || code == EDQUOT ? "free space there, or choose another disk"
                                               : "check that the folder exists and is writable");
}

// Of this process alone: containers give their first processes the same pid again and again.
const std::string& token() {
  static const std::string drawn = [] {
    std::random_device source;
    return std::to_string(source()) + std::to_string(source());
  }();
  return drawn;
}

struct Owner {
  std::string host, token;
  pid_t pid = 0;
};

// Whose temporary name this is; read from the right, since a host's name may hold any dash.
std::optional<Owner> owner_of(const std::string& name) {
  const auto mark = name.rfind(kMark), last = name.rfind('-');
  if (mark == std::string::npos || last < mark + kMark.size()) return std::nullopt;
  const auto before = name.rfind('-', last - 1), begin = mark + kMark.size();
  if (before == std::string::npos || before < begin) return std::nullopt;
  Owner owner{name.substr(begin, before - begin),
              name.substr(last + 1, name.find('.', last) - last - 1), 0};
  const auto [end, bad] = std::from_chars(name.data() + before + 1, name.data() + last, owner.pid);
  if (bad != std::errc() || end != name.data() + last || owner.pid <= 0) return std::nullopt;
  return owner;
}

// The newest change in a file or folder, whose own time does not tell of writes deeper inside. What
// cannot be read to its end, since it vanishes meanwhile, changes now.
fs::file_time_type last_change(const fs::path& path) {
  std::error_code code;
  auto newest = fs::last_write_time(path, code);
  if (code || !fs::is_directory(path, code)) return newest;
  fs::recursive_directory_iterator entry(path, code);
  for (; !code && entry != fs::end(entry); entry.increment(code)) {
    std::error_code gone;
    const auto time = entry->last_write_time(gone);
    if (!gone) newest = std::max(newest, time);
  }
  return code ? fs::file_time_type::clock::now() : newest;
}

// What another host's process left cannot be asked for its owner: there age decides.
bool is_dead(const fs::path& path, const std::optional<Owner>& owner) {
  if (!owner || owner->host != own_host())
    return last_change(path) + kForeignAge < fs::file_time_type::clock::now();
  if (owner->pid == getpid()) return owner->token != token();
  return ::kill(owner->pid, 0) != 0 && errno == ESRCH;
}

}  // namespace

fs::path temporary_beside(const fs::path& final_name) {
  static std::atomic<int> serial{0};
  fs::path name;
  std::error_code code;
  do {  // never a name that is taken: what lies there would be published with the rest
    name = final_name.string() + std::string(kMark) + own_host() + "-" + std::to_string(getpid()) +
           "-" + token() + "." + std::to_string(serial++);
  } while (fs::symlink_status(name, code).type() != fs::file_type::not_found && !code);
  return name;
}

std::optional<std::string> final_name_of(std::string_view name) {
  const auto mark = name.rfind(kMark);
  if (mark == std::string_view::npos) return std::nullopt;
  return std::string(name.substr(0, mark));
}

void require_writable(const std::string& option, const fs::path& file, const std::string& example) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
  std::string why;
  if (fs::is_directory(file)) {
    why = "it is a folder";
  } else if (!fs::is_directory(folder)) {
    why = "there is no folder " + folder.string();
  } else if (::access(folder.c_str(), W_OK) != 0) {
    why = folder.string() + ": " + std::strerror(errno);
  }
  if (!why.empty())
    throw Error(Fault::Environment, "cannot write " + option + " " + file.string() + ": " + why,
                "give a file in a folder that exists, such as " + example);
}

void fsync_path(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("open", path, errno);
  const int rc = ::fsync(descriptor);
  const int code = errno;
  ::close(descriptor);
  if (rc != 0) fail("flush", path, code);
}

void write_file_atomically(const fs::path& file, std::string_view text) {
  PendingPath pending(file);
  const int descriptor =
      ::open(pending.temporary().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
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

PendingPath::PendingPath(fs::path final_name)
    : final_(std::move(final_name)), temporary_(temporary_beside(final_)) {}

PendingPath::~PendingPath() {
  if (published_) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void PendingPath::publish() {
  if (fs::is_directory(temporary_)) {
    for (const auto& entry : fs::recursive_directory_iterator(temporary_)) {
      fsync_path(entry.path());
    }
  }
  fsync_path(temporary_);
  if (::rename(temporary_.c_str(), final_.c_str()) != 0) fail("rename to", final_, errno);
  published_ = true;
  fsync_path(final_.has_parent_path() ? final_.parent_path() : fs::path("."));
}

int remove_leftovers(const fs::path& folder,
                     const std::function<bool(const std::string&)>& is_ours) {
  int removed = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const auto final_name = final_name_of(name);
    if (!final_name || !is_ours(*final_name) || !is_dead(entry.path(), owner_of(name))) continue;
    if (fs::remove_all(entry.path(), ignored) > 0) ++removed;
  }
  return removed;
}

}  // namespace homolog

#include "cluster/comm/meeting_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"

namespace homolog::comm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "homolog meeting 1";
constexpr std::uintmax_t kLongest = 1 << 16;

[[noreturn]] void cannot_write(const fs::path& file) {
  throw Error(Fault::Environment,
              "cannot write the meeting file " + file.string() + ": " + std::strerror(errno),
              "set cluster.rendezvous to a path that can be written, on a disk all hosts share");
}

[[noreturn]] void something_else(const fs::path& file) {
  throw Error(Fault::Usage, file.string() + " is there and is no meeting file of homolog",
              "set cluster.rendezvous to a name of its own; homolog does not replace other files");
}

}  // namespace

std::string Meeting::text() const {
  return "host " + host + " (pid " + std::to_string(pid) + "), written " + written;
}

std::optional<Meeting> read_meeting(const fs::path& file) {
  std::error_code code;
  const auto status = fs::status(file, code);
  if (!fs::exists(status)) return std::nullopt;
  if (!fs::is_regular_file(status) || fs::file_size(file, code) > kLongest) something_else(file);
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.good() && text.empty() && !fs::exists(file, code)) return std::nullopt;  // just removed
  const auto json = nlohmann::json::parse(text, nullptr, false);
  try {
    if (json.at("format") != kFormat) something_else(file);
    return Meeting{json.at("world_id"), json.at("key"),       json.at("host"),   json.at("pid"),
                   json.at("port"),     json.at("addresses"), json.at("written")};
  } catch (const nlohmann::json::exception&) {
    something_else(file);
  }
}

MeetingFile::MeetingFile(fs::path file, Meeting meeting)
    : file_(std::move(file)), meeting_(std::move(meeting)) {
  const nlohmann::ordered_json json{
      {"format", kFormat},           {"world_id", meeting_.world_id},
      {"host", meeting_.host},       {"pid", meeting_.pid},
      {"port", meeting_.port},       {"addresses", meeting_.addresses},
      {"written", meeting_.written}, {"key", meeting_.key}};
  const std::string text = json.dump() + "\n";
  std::error_code ignored;
  if (file_.has_parent_path()) fs::create_directories(file_.parent_path(), ignored);
  const fs::path temporary = temporary_beside(file_);
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) cannot_write(file_);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  ::close(fd);
  // Unlike rename(), link() never replaces; also over NFS.
  published_ = written && ::link(temporary.c_str(), file_.c_str()) == 0;
  const int failed = errno;
  ::unlink(temporary.c_str());
  errno = failed;
  if (!published_ && (!written || failed != EEXIST)) cannot_write(file_);
}

MeetingFile::~MeetingFile() {
  if (!published_) return;
  try {
    const auto now = read_meeting(file_);
    if (now && now->key == meeting_.key) ::unlink(file_.c_str());
  } catch (const Error&) {  // then it is not this one
  }
}

void MeetingFile::require_still_ours() const {
  const auto now = read_meeting(file_);
  if (now && now->key == meeting_.key) return;
  throw Error(Fault::Environment,
              "the meeting file " + file_.string() +
                  (now ? " was replaced by rank 0 on " + now->text()
                       : " was removed while the world formed"),
              "give worlds that run at once another cluster.rendezvous");
}

}  // namespace homolog::comm

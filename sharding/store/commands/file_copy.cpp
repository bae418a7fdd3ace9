// Plain reads and writes: the hash needs every byte in memory anyway.
#include "sharding/store/commands/file_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/stop_signal.h"

namespace homolog::store {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPiece = std::size_t{4} << 20;  // bytes

class Descriptor {
 public:
  Descriptor(const fs::path& file, int flags) : file_(file) {
    descriptor_ = ::open(file.c_str(), flags | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail(flags == O_RDONLY ? "read" : "write");
    ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  ~Descriptor() { ::close(descriptor_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  std::size_t read(std::vector<char>& piece) const {
    for (;;) {
      const ssize_t n = ::read(descriptor_, piece.data(), piece.size());
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno != EINTR) fail("read");
    }
  }
  void write(const char* data, std::size_t bytes) const {
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t n = ::write(descriptor_, data + done, bytes - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("write");
      done += static_cast<std::size_t>(n);
    }
  }

 private:
  [[noreturn]] void fail(const char* doing) const {
    const int code = errno;
    throw Error(Fault::Environment,
                std::string("cannot ") + doing + " " + file_.string() + ": " + std::strerror(code),
                code == ENOSPC || code == EDQUOT
                    ? "free space there, or give a smaller --limit or a larger --reserve"
                    : "check the disk and its permissions");
  }
  fs::path file_;
  int descriptor_ = -1;
};

}  // namespace

std::uint64_t hash_of_file(const fs::path& file, const BytesDone& advanced) {
  const Descriptor in(file, O_RDONLY);
  std::vector<char> piece(kPiece);
  Xxh3 hash;
  while (const std::size_t n = in.read(piece)) {
    hash.update(piece.data(), n);
    if (advanced) advanced(n);
    stop_if_asked("what is staged stays", "run the same command again to go on");
  }
  return hash.digest();
}

void copy_checked(const fs::path& from, const fs::path& to, std::uint64_t xxh3,
                  const BytesDone& advanced) {
  PendingPath pending(to);
  {
    const Descriptor in(from, O_RDONLY), out(pending.temporary(), O_WRONLY | O_CREAT | O_EXCL);
    std::vector<char> piece(kPiece);
    Xxh3 hash;
    while (const std::size_t n = in.read(piece)) {
      hash.update(piece.data(), n);
      out.write(piece.data(), n);
      if (advanced) advanced(n);
      stop_if_asked("what is staged stays", "run the same command again to go on");
    }
    if (hash.digest() != xxh3)
      throw Error(Fault::Data, from.string() + ": differs from what store.json says of it",
                  "run homolog store verify, and copy this shard to the store again");
  }
  pending.publish();
}

}  // namespace homolog::store

#include "cluster/doctor/disk_probe.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace homolog::doctor {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kPiece = std::size_t{1} << 20;

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
  throw Error(Fault::Environment, what + " " + path.string() + ": " + std::strerror(errno));
}

class File {
 public:
  File(int descriptor, fs::path path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~File() { ::close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void write(const std::vector<char>& piece) {
    for (std::size_t done = 0; done < piece.size();) {
      const ssize_t n = ::write(descriptor_, piece.data() + done, piece.size() - done);
      if (n < 0 && errno != EINTR) fail("cannot write in", path_);
      if (n > 0) done += static_cast<std::size_t>(n);
    }
  }
  void sync() {
    if (::fsync(descriptor_) != 0) fail("fsync in", path_);
  }
  // Bytes read at `offset`, at most a piece.
  std::size_t read(std::vector<char>& piece, std::uint64_t offset) {
    for (;;) {
      const ssize_t n =
          ::pread(descriptor_, piece.data(), piece.size(), static_cast<off_t>(offset));
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno != EINTR) fail("cannot read", path_);
    }
  }
  void drop_from_cache(std::uint64_t bytes) {
    ::posix_fadvise(descriptor_, 0, static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
  }
  // Share of the first `bytes` that the page cache holds.
  double cached(std::uint64_t bytes) const {
    if (bytes == 0) return 0;
    void* const map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor_, 0);
    if (map == MAP_FAILED) return 0;
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> pages((bytes + page - 1) / page);
    const bool known = ::mincore(map, bytes, pages.data()) == 0;
    ::munmap(map, bytes);
    if (!known) return 0;
    const auto held =
        std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1) != 0; });
    return static_cast<double>(held) / static_cast<double>(pages.size());
  }

 private:
  int descriptor_;
  fs::path path_;
};

int open_nameless(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw Error(Fault::Environment, folder.string() + " is no folder here");
  const int descriptor = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor >= 0) return descriptor;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) fail("cannot write in", folder);
  std::string name = (folder / ".homolog-doctor-XXXXXX").string();  // NFS knows no O_TMPFILE
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) fail("cannot write in", folder);
  ::unlink(name.c_str());
  return named;
}

std::vector<char> noise() {  // a disk that compresses or drops zeros must not shine
  std::vector<char> piece(kPiece);
  std::uint64_t state = 0x9e3779b97f4a7c15;
  for (std::size_t i = 0; i < kPiece; i += sizeof state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    std::memcpy(piece.data() + i, &state, sizeof state);
  }
  return piece;
}

void stamp(std::vector<char>& piece, std::uint64_t number) {
  std::memcpy(piece.data(), &number, sizeof number);
}

}  // namespace

Measured probe_write_and_read(const fs::path& folder, std::uint64_t bytes, double seconds,
                              const MayGoOn& may_go_on) {
  File file(open_nameless(folder), folder);
  std::vector<char> piece = noise();
  std::uint64_t written = 0;
  Stopwatch watch;
  for (; written < bytes && watch.seconds() < seconds; written += kPiece) {
    if (may_go_on) may_go_on();
    stamp(piece, written);
    file.write(piece);
  }
  file.sync();
  Measured measured;
  measured.numbers["write_bps"] = static_cast<double>(written) / watch.seconds();
  file.drop_from_cache(written);
  measured.numbers["cached"] = file.cached(written);
  std::vector<char> back(kPiece);
  std::uint64_t read = 0;
  for (watch.lap(); read < written && (read == 0 || watch.seconds() < seconds); read += kPiece) {
    if (may_go_on) may_go_on();
    const std::size_t got = file.read(back, read);
    stamp(piece, read);
    if (got != kPiece || back != piece)
      throw Error(Fault::Environment,
                  "the disk of " + folder.string() + " gives back other bytes than were written");
  }
  measured.numbers["read_bps"] = static_cast<double>(read) / watch.seconds();
  return measured;
}

namespace {

std::vector<fs::path> files_of(const fs::path& folder, const std::string& extension) {
  std::vector<fs::path> files;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code)) {
    if (entry->path().extension() == extension && entry->is_regular_file(code))
      files.push_back(entry->path());
  }
  if (code)
    throw Error(Fault::Environment, "cannot list " + folder.string() + ": " + code.message());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Measured probe_read(const fs::path& folder, const std::string& extension, std::uint64_t bytes,
                    double seconds, const MayGoOn& may_go_on) {
  if (!fs::is_directory(folder))
    throw Error(Fault::Environment, folder.string() + " is no folder here");
  Measured measured;
  std::vector<char> piece(kPiece);
  std::uint64_t read = 0;
  double spent = 0, cached = 0;
  for (const fs::path& path : files_of(folder, extension)) {
    if (read >= bytes || spent >= seconds) break;
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail("cannot read", path);
    File file(descriptor, path);
    const std::uint64_t size = std::min<std::uint64_t>(fs::file_size(path), bytes - read);
    file.drop_from_cache(size);
    cached += file.cached(size) * static_cast<double>(size);
    const Stopwatch watch;
    for (std::uint64_t at = 0; at < size && spent + watch.seconds() < seconds;) {
      if (may_go_on) may_go_on();
      const std::size_t got = file.read(piece, at);
      if (got == 0) break;
      at += got;
      read += got;
    }
    spent += watch.seconds();
  }
  if (read == 0 || spent <= 0) return measured;
  measured.numbers = {{"read_bps", static_cast<double>(read) / spent},
                      {"cached", std::min(1.0, cached / static_cast<double>(read))},
                      {"bytes", static_cast<double>(read)}};
  return measured;
}

std::int64_t count_files(const fs::path& folder, const std::string& extension) {
  return static_cast<std::int64_t>(files_of(folder, extension).size());
}

}  // namespace homolog::doctor

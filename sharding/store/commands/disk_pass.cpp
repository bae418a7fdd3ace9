#include "sharding/store/commands/disk_pass.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "sharding/store/commands/read_stop.h"

namespace homolog::store {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kBlock = std::size_t{8} << 20;  // bytes
constexpr std::size_t kAlignment = 4096;              // O_DIRECT's, on all usual disks

[[noreturn]] void fail(const fs::path& file) {
  throw Error(Fault::Environment, "cannot read " + file.string() + ": " + std::strerror(errno),
              "check the disk or network");
}

int open_to_read(const fs::path& file, int flags) {
  return ::open(file.c_str(), O_RDONLY | O_CLOEXEC | flags);
}

struct Pages {
  std::size_t all = 0, cached = 0;
};

Pages count_pages(int descriptor) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0 || info.st_size == 0) return {};
  const auto bytes = static_cast<std::size_t>(info.st_size);
  void* map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor, 0);
  if (map == MAP_FAILED) return {};
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> state((bytes + page - 1) / page);
  Pages pages;
  if (::mincore(map, bytes, state.data()) == 0) {
    pages.all = state.size();
    for (const unsigned char s : state) pages.cached += s & 1;
  }
  ::munmap(map, bytes);
  return pages;
}

}  // namespace

double drop_from_cache(const std::vector<fs::path>& files) {
  Pages sum;
  for (const fs::path& file : files) {
    const int descriptor = open_to_read(file, 0);
    if (descriptor < 0) fail(file);
    ::fdatasync(descriptor);  // only clean pages can be dropped
    ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    const Pages pages = count_pages(descriptor);
    ::close(descriptor);
    sum.all += pages.all;
    sum.cached += pages.cached;
  }
  return sum.all == 0 ? 0 : static_cast<double>(sum.cached) / static_cast<double>(sum.all);
}

DiskRate read_through(const std::vector<fs::path>& files, double seconds) {
  const std::unique_ptr<void, decltype(&std::free)> block(std::aligned_alloc(kAlignment, kBlock),
                                                          &std::free);
  DiskRate rate{0, 0, true};
  const Stopwatch watch;
  for (const fs::path& file : files) {
    int descriptor = open_to_read(file, O_DIRECT);
    if (descriptor < 0) {
      rate.direct = false;
      descriptor = open_to_read(file, 0);
    }
    if (descriptor < 0) fail(file);
    ssize_t n = 0;
    do {
      n = ::read(descriptor, block.get(), kBlock);
      rate.bytes += static_cast<std::uint64_t>(std::max<ssize_t>(0, n));
    } while ((n > 0 || (n < 0 && errno == EINTR)) && watch.seconds() < seconds &&
             stop_signals_received() == 0);
    const int code = errno;
    ::close(descriptor);
    stop_reading_if_asked();
    errno = code;
    if (n < 0) fail(file);
    if (watch.seconds() >= seconds) break;
  }
  rate.seconds = watch.seconds();
  return rate;
}

}  // namespace homolog::store

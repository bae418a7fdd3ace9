// Preloaded into a worker: what a disk that hangs or fails does to reads of shards. The file that
// READ_FAULT names, once it is there, says which: "stall SECONDS" or "fail COUNT" (the next so many
// reads end with EIO).
#include <dlfcn.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

namespace {

bool is_shard(int descriptor) {
  char path[512];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t n = ::readlink(link.c_str(), path, sizeof path - 1);
  return n > 0 &&
         std::string(path, static_cast<std::size_t>(n)).find("/shard-") != std::string::npos;
}

// True when this read is to fail.
bool disturb(int descriptor) {
  static std::atomic<long> failed{0};
  const char* file = std::getenv("READ_FAULT");
  if (file == nullptr || !is_shard(descriptor)) return false;
  std::ifstream in(file);
  std::string what;
  long amount = 0;
  if (!(in >> what >> amount)) return false;
  if (what == "stall") std::this_thread::sleep_for(std::chrono::seconds(amount));
  return what == "fail" && failed++ < amount;
}

ssize_t read_through(const char* name, int descriptor, const iovec* parts, int count, off_t offset,
                     int flags) {
  if (disturb(descriptor)) {
    errno = EIO;
    return -1;
  }
  using Read = ssize_t (*)(int, const iovec*, int, off_t, int);
  return reinterpret_cast<Read>(::dlsym(RTLD_NEXT, name))(descriptor, parts, count, offset, flags);
}

}  // namespace

extern "C" ssize_t preadv2(int descriptor, const iovec* parts, int count, off_t offset, int flags) {
  return read_through("preadv2", descriptor, parts, count, offset, flags);
}
extern "C" ssize_t preadv64v2(int descriptor, const iovec* parts, int count, off_t offset,
                              int flags) {
  return read_through("preadv64v2", descriptor, parts, count, offset, flags);
}

#include "model/weights/file_kind.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace homolog::model {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void cannot_read(const fs::path& file, const std::string& why) {
  throw Error(Fault::Data, "cannot read the weights " + file.string() + ": " + why,
              "give the path of a .safetensors, .pt or .pth file");
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int operator()() const { return number_; }

 private:
  int number_;
};

}  // namespace

std::string first_bytes(const fs::path& file, std::uint64_t count) {
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (opened() < 0) cannot_read(file, std::strerror(errno));
  struct stat facts {};
  if (::fstat(opened(), &facts) != 0) cannot_read(file, std::strerror(errno));
  if (S_ISDIR(facts.st_mode)) cannot_read(file, "it is a folder");
  if (!S_ISREG(facts.st_mode)) cannot_read(file, "it is a pipe or a device, no regular file");
  std::string out(std::min(count, static_cast<std::uint64_t>(facts.st_size)), '\0');
  std::size_t at = 0;
  while (at < out.size()) {
    const ssize_t n = ::read(opened(), out.data() + at, out.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) cannot_read(file, std::strerror(errno));
    if (n == 0) break;
    at += static_cast<std::size_t>(n);
  }
  out.resize(at);
  return out;
}

}  // namespace homolog::model

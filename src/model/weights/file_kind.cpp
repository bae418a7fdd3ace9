#include "model/weights/file_kind.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
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

void refuse_other_kinds(const fs::path& file, std::string_view first) {
  std::string words;
  for (const char c : first.substr(std::min(first.find_first_not_of(" \t\r\n"), first.size())))
    words += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (words.starts_with("<!doctype") || words.starts_with("<html") || words.starts_with("<?xml"))
    throw Error(Fault::Data, file.string() + " is a web page, no weights",
                "open the address that it came from: it may ask for a login or a licence; then "
                "download the file itself");
  if (words.starts_with("version https://git-lfs"))
    throw Error(Fault::Data, file.string() + " is a pointer of Git LFS, no weights",
                "run `git lfs pull` in its repository, or download the file itself");
}

}  // namespace homolog::model

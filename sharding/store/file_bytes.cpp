#include "sharding/store/file_bytes.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"

namespace homolog::store {

bool Block::starts_with(const char* magic) const noexcept {
  const std::size_t length = std::strlen(magic);
  return bytes.size() >= length && std::memcmp(bytes.data(), magic, length) == 0;
}

std::string Block::text(std::size_t at) const {
  const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(std::min(at, bytes.size()));
  const auto end = std::find(from, bytes.end(), std::uint8_t{0});
  return end == bytes.end() ? "" : std::string(from, end);
}

const std::uint8_t* Block::need(std::size_t at, std::size_t size) const {
  if (at > bytes.size() || size > bytes.size() - at)
    file->refuse("a structure that ends too early", offset + at);
  return bytes.data() + at;
}

Block FileBytes::read(std::uint64_t offset, std::uint64_t size, const char* what) const {
  if (size > kLongest || offset > size_ || size > size_ - offset)
    refuse(std::string(what) + " beyond the file", offset);
  Block block{this, offset, std::vector<std::uint8_t>(size)};
  for (std::uint64_t done = 0; done < size;) {
    const ssize_t n = ::pread(descriptor_, block.bytes.data() + done, size - done,
                              static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      throw Error(Fault::Environment, file_.string() + ": " + std::strerror(errno),
                  "check the disk or network");
    if (n == 0) refuse("the file ends", offset + done);
    done += static_cast<std::uint64_t>(n);
  }
  return block;
}

void FileBytes::refuse(const std::string& what, std::uint64_t byte) const {
  throw Error(Fault::Data, file_.string() + ": " + what + " at byte " + std::to_string(byte),
              "copy this shard again or write it again with homolog shard; homolog store verify "
              "tells which are broken");
}

}  // namespace homolog::store

// Any bytes as a compressed crop. The memory on both sides ends at a page that nobody may touch,
// because Blosc itself is not instrumented.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/hash.h"
#include "sharding/store/codec.h"

namespace {

using namespace homolog;

class GuardedBytes {
 public:
  explicit GuardedBytes(std::size_t size) : size_(size), mapped_((size / kPage + 2) * kPage) {
    void* at = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) std::abort();
    start_ = static_cast<std::byte*>(at);
    ::mprotect(start_ + mapped_ - kPage, kPage, PROT_NONE);
  }
  ~GuardedBytes() { ::munmap(start_, mapped_); }
  std::span<std::byte> bytes() { return {start_ + mapped_ - kPage - size_, size_}; }

 private:
  static constexpr std::size_t kPage = 4096;
  std::size_t size_, mapped_;
  std::byte* start_;
};

}  // namespace

// The first byte chooses the encoding, the second the sides; the rest is the chunk.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  store::ShardHeader header;
  header.encoding = static_cast<store::Encoding>(data[0] % 3);
  const std::int64_t side = 2 + data[1] % 31;
  header.crop = {side, side, side};
  GuardedBytes packed(size - 2), stored(static_cast<std::size_t>(header.bytes()));
  std::memcpy(packed.bytes().data(), data + 2, size - 2);
  const auto hash = store::decompress_and_hash(packed.bytes(), stored.bytes());
  if (!hash) return 0;
  if (*hash != xxh3_64(stored.bytes())) std::abort();
  std::vector<std::uint16_t> window(static_cast<std::size_t>(header.voxels()));
  std::vector<std::byte> aligned(stored.bytes().begin(), stored.bytes().end());
  store::to_window(header, aligned, window);
  return 0;
}

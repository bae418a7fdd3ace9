// What decoding costs was measured (docs/decisions/0007): a copy of literals runs at the speed of
// memory, a sequence costs a mispredicted branch. So a plane of runs (the high bytes) is
// searched thoroughly, which halves its sequences; in a plane of noise that would gain nothing.
#include "sharding/store/lz4_frame.h"

#include <blosc.h>
#include <lz4.h>
#include <lz4hc.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/hash.h"

namespace homolog::store {
namespace {

constexpr std::size_t kBlock = 128 << 10;  // bytes; a block and its planes stay in the L2 cache
constexpr int kQuick = 5;                  // LZ4's acceleration
constexpr int kThorough = 9;               // level of LZ4HC; from 9 on it knows runs
constexpr std::size_t kShortBlock = 128;   // voxels, BLOSC_MIN_BUFFERSIZE of its sources
constexpr unsigned kLz4Format = 1u << 5;   // in the flags of a Blosc buffer

void put(std::vector<std::byte>& out, std::size_t at, std::size_t value) {
  const auto word =
      static_cast<std::uint32_t>(value);  // little endian, as all that homolog runs on
  std::memcpy(out.data() + at, &word, sizeof word);
}

std::size_t word(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Blosc's rule: the planes of a block lie apart, but in a short one and in the last.
std::size_t streams_of(std::size_t bytes, std::size_t block, std::size_t voxel_bytes) {
  return bytes == block && block / voxel_bytes >= kShortBlock ? voxel_bytes : 1;
}

// Its length, then the plane under LZ4, or as it is where that saves nothing.
void append(std::vector<std::byte>& out, std::span<const char> plane, std::vector<char>& packed) {
  const int size = static_cast<int>(plane.size()), room = size - 1;
  int n = LZ4_compress_fast(plane.data(), packed.data(), size, room, kQuick);
  if (n > 0 && n < size / 4)
    n = LZ4_compress_HC(plane.data(), packed.data(), size, room, kThorough);
  const char* from = n > 0 ? packed.data() : plane.data();
  if (n <= 0) n = size;
  const std::size_t at = out.size();
  out.resize(at + 4 + static_cast<std::size_t>(n));
  put(out, at, static_cast<std::size_t>(n));
  std::memcpy(out.data() + at + 4, from, static_cast<std::size_t>(n));
}

void shuffle(std::span<const std::byte> bytes, std::size_t voxel_bytes, std::vector<char>& planes) {
  const std::size_t voxels = bytes.size() / voxel_bytes;
  for (std::size_t p = 0; p < voxel_bytes; ++p)
    for (std::size_t v = 0; v < voxels; ++v)
      planes[p * voxels + v] = static_cast<char>(bytes[v * voxel_bytes + p]);
}

void unshuffle(const std::uint8_t* __restrict low, const std::uint8_t* __restrict high,
               std::span<std::byte> bytes) {
  auto* __restrict out = reinterpret_cast<std::uint8_t*>(bytes.data());
  const std::size_t voxels = bytes.size() / 2;
  for (std::size_t v = 0; v < voxels; ++v) {
    out[2 * v] = low[v];
    out[2 * v + 1] = high[v];
  }
}

// Where the plane lies whose stream is at `at`, which moves behind it: in the stream, when that
// holds it as it is, else in `plane`. nullptr: the stream does not give `plane.size()` bytes.
const std::uint8_t* unpack_plane(std::span<const std::byte> packed, std::size_t& at,
                                 std::span<std::uint8_t> plane) {
  if (at > packed.size() || packed.size() - at < 4) return nullptr;
  const std::size_t n = word(packed, at);
  at += 4;
  if (n > packed.size() - at || n > plane.size()) return nullptr;
  const auto* from = reinterpret_cast<const char*>(packed.data() + at);
  at += n;
  const int length = static_cast<int>(plane.size());
  if (n == plane.size()) return reinterpret_cast<const std::uint8_t*>(from);
  const int given =
      LZ4_decompress_safe(from, reinterpret_cast<char*>(plane.data()), static_cast<int>(n), length);
  return given == length ? plane.data() : nullptr;
}

}  // namespace

void lz4_frame(std::span<const std::byte> stored, std::size_t voxel_bytes,
               std::vector<std::byte>& out) {
  const std::size_t block = std::min(kBlock, stored.size()),
                    blocks = (stored.size() + block - 1) / block;
  out.assign(BLOSC_MIN_HEADER_LENGTH + 4 * blocks, std::byte{0});
  std::vector<char> planes(block), packed(block);
  for (std::size_t b = 0; b < blocks; ++b) {
    put(out, BLOSC_MIN_HEADER_LENGTH + 4 * b, out.size());
    const auto bytes = stored.subspan(b * block, std::min(block, stored.size() - b * block));
    shuffle(bytes, voxel_bytes, planes);
    const std::size_t streams = streams_of(bytes.size(), block, voxel_bytes),
                      length = bytes.size() / streams;
    for (std::size_t s = 0; s < streams; ++s)
      append(out, {planes.data() + s * length, length}, packed);
  }
  unsigned flags = BLOSC_DOSHUFFLE | kLz4Format;
  if (out.size() > stored.size() + BLOSC_MAX_OVERHEAD) {  // nothing was saved: the bytes themselves
    flags |= BLOSC_MEMCPYED;
    out.resize(BLOSC_MIN_HEADER_LENGTH);
    out.insert(out.end(), stored.begin(), stored.end());
  }
  out[0] = std::byte{BLOSC_VERSION_FORMAT};
  out[1] = std::byte{1};  // version of LZ4's format
  out[2] = static_cast<std::byte>(flags);
  out[3] = static_cast<std::byte>(voxel_bytes);
  put(out, 4, stored.size());
  put(out, 8, block);
  put(out, 12, out.size());
}

bool is_lz4_frame(std::span<const std::byte> packed, std::size_t bytes) noexcept {
  if (packed.size() < BLOSC_MIN_HEADER_LENGTH) return false;
  const auto byte = [&](std::size_t i) { return std::to_integer<unsigned>(packed[i]); };
  const std::size_t block = word(packed, 8);
  return byte(0) == BLOSC_VERSION_FORMAT && byte(1) == 1 &&
         byte(2) == (BLOSC_DOSHUFFLE | kLz4Format) && (byte(3) == 1 || byte(3) == 2) &&
         bytes % byte(3) == 0 && word(packed, 4) == bytes && block == std::min(kBlock, bytes) &&
         block > 0 && word(packed, 12) == packed.size();
}

std::optional<std::uint64_t> unpack_lz4_frame(std::span<const std::byte> packed,
                                              std::span<std::byte> out) {
  const std::size_t voxel_bytes = std::to_integer<std::size_t>(packed[3]), block = word(packed, 8),
                    blocks = (out.size() + block - 1) / block;
  if (packed.size() < BLOSC_MIN_HEADER_LENGTH + 4 * blocks) return std::nullopt;
  const auto planes = std::make_unique_for_overwrite<std::uint8_t[]>(block);
  Xxh3 hash;
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto bytes = out.subspan(b * block, std::min(block, out.size() - b * block));
    const std::size_t streams = streams_of(bytes.size(), block, voxel_bytes),
                      length = bytes.size() / streams;
    std::size_t at = word(packed, BLOSC_MIN_HEADER_LENGTH + 4 * b);
    const std::uint8_t* plane[2] = {};  // low bytes and high bytes; as one where they lie together
    for (std::size_t s = 0; s < streams; ++s) {
      plane[s] = unpack_plane(packed, at, {planes.get() + s * length, length});
      if (plane[s] == nullptr) return std::nullopt;
    }
    if (voxel_bytes == 1)
      std::memcpy(bytes.data(), plane[0], bytes.size());
    else
      unshuffle(plane[0], streams == 2 ? plane[1] : plane[0] + bytes.size() / 2, bytes);
    hash.update(bytes.data(), bytes.size());
  }
  return hash.digest();
}

}  // namespace homolog::store

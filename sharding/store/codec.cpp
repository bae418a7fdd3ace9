// Blosc 1 through its context calls.
// Level 5 of lz4 with byte shuffle: the high byte of 9-bit values is nearly free.
#include "sharding/store/codec.h"

#include <blosc.h>

#include "base/error.h"

namespace homolog::store {
namespace {
constexpr int kLevel = 5;
}

std::array<unsigned, 7> blosc_parameters(std::size_t chunk_bytes) {
  constexpr unsigned kFilterRevision = 2, kTypeSize = 2;
  return {kFilterRevision, BLOSC_VERSION_FORMAT, kTypeSize, static_cast<unsigned>(chunk_bytes),
          kLevel,          BLOSC_SHUFFLE,        BLOSC_LZ4};
}

void compress(std::span<const std::uint16_t> stored, std::vector<std::byte>& out) {
  out.resize(max_packed_bytes(stored.size_bytes()));
  const int n =
      blosc_compress_ctx(kLevel, BLOSC_SHUFFLE, sizeof(std::uint16_t), stored.size_bytes(),
                         stored.data(), out.data(), out.size(), BLOSC_LZ4_COMPNAME, 0, 1);
  if (n <= 0)
    throw Error(Fault::Environment, "Blosc cannot compress with lz4", "install libblosc with lz4");
  out.resize(static_cast<std::size_t>(n));
}

bool decompress(std::span<const std::byte> packed, std::span<std::uint16_t> out) noexcept {
  std::size_t bytes = 0;
  if (packed.size() < BLOSC_MIN_HEADER_LENGTH ||
      blosc_cbuffer_validate(packed.data(), packed.size(), &bytes) < 0 ||
      bytes != out.size_bytes()) {
    return false;
  }
  return blosc_decompress_ctx(packed.data(), out.data(), out.size_bytes(), 1) ==
         static_cast<int>(out.size_bytes());
}

std::size_t max_packed_bytes(std::size_t raw_bytes) noexcept {
  return raw_bytes + BLOSC_MAX_OVERHEAD;
}

}  // namespace homolog::store

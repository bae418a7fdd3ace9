// Blosc 1 through its context calls; LZ4's buffers are composed here to decode faster.
// Byte shuffle leaves the high bytes of 9-bit values nearly free.
#include "sharding/store/codec.h"

#include <blosc.h>

#include "base/error.h"
#include "base/hash.h"
#include "sharding/store/lz4_frame.h"

namespace homolog::store {
namespace {

int level_of(Codec codec) { return codec == Codec::Lz4 ? 5 : 3; }
unsigned code_of(Codec codec) { return codec == Codec::Lz4 ? BLOSC_LZ4 : BLOSC_ZSTD; }

}  // namespace

std::array<unsigned, 7> blosc_parameters(const ShardHeader& header) {
  constexpr unsigned kFilterRevision = 2;
  return {kFilterRevision,
          BLOSC_VERSION_FORMAT,
          static_cast<unsigned>(header.voxel_bytes()),
          static_cast<unsigned>(header.bytes()),
          static_cast<unsigned>(level_of(header.codec)),
          BLOSC_SHUFFLE,
          code_of(header.codec)};
}

Codec codec_of(std::span<const unsigned> parameters) {
  for (const Codec codec : {Codec::Lz4, Codec::Zstd})
    if (parameters.size() >= 7 && parameters[6] == code_of(codec)) return codec;
  throw Error(Fault::Data, "crops of a compressor that is neither lz4 nor zstd",
              "use the homolog that wrote it");
}

void compress(const ShardHeader& header, std::span<const std::byte> stored,
              std::vector<std::byte>& out) {
  if (header.codec == Codec::Lz4)
    return lz4_frame(stored, static_cast<std::size_t>(header.voxel_bytes()), out);
  out.resize(stored.size() + BLOSC_MAX_OVERHEAD);
  const char* codec = codec_name(header.codec);
  const int n = blosc_compress_ctx(level_of(header.codec), BLOSC_SHUFFLE,
                                   static_cast<std::size_t>(header.voxel_bytes()), stored.size(),
                                   stored.data(), out.data(), out.size(), codec, 0, 1);
  if (n <= 0) {
    throw Error(Fault::Environment, std::string("Blosc cannot compress with ") + codec,
                "install a libblosc that has it, or choose another shard.codec");
  }
  out.resize(static_cast<std::size_t>(n));
}

bool decompress(std::span<const std::byte> packed, std::span<std::byte> out) noexcept {
  std::size_t bytes = 0;
  if (packed.size() < BLOSC_MIN_HEADER_LENGTH ||
      blosc_cbuffer_validate(packed.data(), packed.size(), &bytes) < 0 || bytes != out.size()) {
    return false;
  }
  return blosc_decompress_ctx(packed.data(), out.data(), out.size(), 1) ==
         static_cast<int>(out.size());
}

std::optional<std::uint64_t> decompress_and_hash(std::span<const std::byte> packed,
                                                 std::span<std::byte> out) {
  if (is_lz4_frame(packed, out.size())) return unpack_lz4_frame(packed, out);
  if (!decompress(packed, out)) return std::nullopt;
  return xxh3_64(out);
}

}  // namespace homolog::store

// One crop <-> one Blosc buffer (byte shuffle, then lz4 or zstd), as the HDF5 filter 32001 stores
// it. Context calls only, so that any thread may use it without Blosc's global state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sharding/store/shard_format.h"

namespace homolog::store {

// The filter's parameters in the dataset, as hdf5plugin writes and expects them:
// revision, format, type size, chunk bytes, level, shuffle, compressor.
std::array<unsigned, 7> blosc_parameters(const ShardHeader& header);
// The codec in the filter's parameters. Throws Fault::Data where it is none of ours.
Codec codec_of(std::span<const unsigned> parameters);

// Resizes `out` to the compressed bytes. Throws Fault::Environment when Blosc lacks the codec.
void compress(const ShardHeader& header, std::span<const std::byte> stored,
              std::vector<std::byte>& out);

// By Blosc. False when `packed` is no valid buffer of exactly out.size() bytes.
bool decompress(std::span<const std::byte> packed, std::span<std::byte> out) noexcept;
// As above, and the xxh3 of `out`: for our own buffers in one walk through the cache.
std::optional<std::uint64_t> decompress_and_hash(std::span<const std::byte> packed,
                                                 std::span<std::byte> out);

}  // namespace homolog::store

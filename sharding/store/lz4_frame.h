// A Blosc 1 buffer of shuffled bytes under LZ4, written so that it decodes fast: a crop is written
// once and read at every epoch (docs/decisions/0007). Any reader of Blosc decodes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace homolog::store {

// `stored`: values of `voxel_bytes` (1 or 2) bytes. Resizes `out` to the buffer's bytes.
// Layout: README_CHUNK_FORMAT of c-blosc 1.21. Throws nothing but std::bad_alloc.
void lz4_frame(std::span<const std::byte> stored, std::size_t voxel_bytes,
               std::vector<std::byte>& out);

// Whether `packed` begins like a buffer that lz4_frame() makes of out.size() bytes.
bool is_lz4_frame(std::span<const std::byte> packed, std::size_t bytes) noexcept;
// Decodes such a buffer and hashes each block while it is in the cache. Returns the xxh3 of `out`,
// or nothing where `packed` is broken: `out` is then undefined, and nothing beyond it was touched.
std::optional<std::uint64_t> unpack_lz4_frame(std::span<const std::byte> packed,
                                              std::span<std::byte> out);

}  // namespace homolog::store

// One crop <-> one Blosc buffer (lz4, byte shuffle), as the HDF5 filter 32001 stores it.
// Context calls only, so that any thread may use it without Blosc's global state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace homolog::store {

// The filter's parameters in the dataset, as hdf5plugin writes and expects them:
// revision, format, type size, chunk bytes, level, shuffle, compressor.
std::array<unsigned, 7> blosc_parameters(std::size_t chunk_bytes);

// Resizes `out` to the compressed bytes. Throws Fault::Environment when Blosc lacks lz4.
void compress(std::span<const std::uint16_t> stored, std::vector<std::byte>& out);

// False when `packed` is no valid buffer of exactly out.size() values.
bool decompress(std::span<const std::byte> packed, std::span<std::uint16_t> out) noexcept;

std::size_t max_packed_bytes(std::size_t raw_bytes) noexcept;

}  // namespace homolog::store

// Damages one crop of a shard as a bad disk would, for the claims about what finds it.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "sharding/store/shard_reader.h"

namespace homolog::store {

inline void flip_a_bit(const std::filesystem::path& file, std::uint64_t offset) {
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekg(static_cast<std::streamoff>(offset));
  const char flipped = static_cast<char>(bytes.get() ^ 0x10);
  bytes.seekp(static_cast<std::streamoff>(offset));
  bytes.put(flipped);
}

// In the middle of the packed bytes of crop `row`.
inline void flip_a_bit_of_crop(const std::filesystem::path& file, std::int64_t row) {
  std::uint64_t offset = 0;
  {
    const ShardReader reader(file);
    offset = reader.chunk(row).offset + reader.chunk(row).size / 2;
  }
  flip_a_bit(file, offset);
}

}  // namespace homolog::store

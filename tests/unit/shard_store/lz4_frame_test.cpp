// Claims about the composed buffers: Blosc decodes each to the bytes that went in, and they hold
// its own bounds of size.
#include "sharding/store/lz4_frame.h"

#include <blosc.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "base/hash.h"

namespace homolog::store {
namespace {

using Bytes = std::vector<std::byte>;

Bytes framed(const Bytes& stored, std::size_t voxel_bytes) {
  Bytes out;
  lz4_frame(stored, voxel_bytes, out);
  return out;
}

Bytes decoded(const Bytes& frame, std::size_t bytes) {
  std::size_t said = 0;
  EXPECT_EQ(blosc_cbuffer_validate(frame.data(), frame.size(), &said), 0);
  EXPECT_EQ(said, bytes);
  Bytes out(bytes);
  EXPECT_EQ(blosc_decompress_ctx(frame.data(), out.data(), bytes, 1), static_cast<int>(bytes));
  return out;
}

// 16-bit values below `end`, each standing for about `run` voxels.
Bytes values(std::size_t voxels, int end, int run) {
  std::mt19937 random(static_cast<unsigned>(voxels) + static_cast<unsigned>(end * run));
  Bytes out(2 * voxels);
  std::uint16_t value = 0;
  for (std::size_t v = 0; v < voxels; ++v) {
    if (random() % static_cast<unsigned>(run) == 0)
      value = static_cast<std::uint16_t>(random() % static_cast<unsigned>(end));
    out[2 * v] = static_cast<std::byte>(value & 0xFF);
    out[2 * v + 1] = static_cast<std::byte>(value >> 8);
  }
  return out;
}

TEST(Lz4Frame, BloscGivesBackWhatWentIn) {
  for (const std::size_t voxels : {1UL, 64UL, 1000UL, 65535UL, 65536UL, 65537UL, 200001UL}) {
    for (const int end : {1, 256, 381, 65536}) {
      for (const int run : {1, 7, 3000}) {
        const Bytes stored = values(voxels, end, run);
        for (const std::size_t voxel_bytes : {1UL, 2UL}) {
          const Bytes frame = framed(stored, voxel_bytes);
          SCOPED_TRACE(std::to_string(voxels) + " values below " + std::to_string(end) +
                       ", runs of " + std::to_string(run) + ", " + std::to_string(voxel_bytes));
          EXPECT_EQ(decoded(frame, stored.size()), stored);
          Bytes own(stored.size());
          if (!is_lz4_frame(frame, stored.size())) continue;  // stored as it is: Blosc's to copy
          EXPECT_EQ(unpack_lz4_frame(frame, own), xxh3_64(stored));
          EXPECT_EQ(own, stored);
        }
      }
    }
  }
}

TEST(Lz4Frame, NoiseOfAllBytesIsNotLongerThanBloscsOverhead) {
  for (const std::size_t voxels : {64UL, 300000UL}) {
    const Bytes stored = values(voxels, 65536, 1);
    EXPECT_LE(framed(stored, 2).size(), stored.size() + BLOSC_MAX_OVERHEAD);
  }
}

TEST(Lz4Frame, BrokenBuffersAreFoundOrGiveAnotherHash) {
  const Bytes stored = values(100000, 381, 20), frame = framed(stored, 2);
  ASSERT_TRUE(is_lz4_frame(frame, stored.size()));
  Bytes out(stored.size());
  for (std::size_t cut = 16; cut < frame.size(); cut += 97) {
    const std::span<const std::byte> shorter(frame.data(), cut);
    EXPECT_FALSE(is_lz4_frame(shorter, stored.size()));  // the length in its header
    EXPECT_FALSE(unpack_lz4_frame(shorter, out).has_value()) << cut;
  }
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    Bytes other = frame;
    const std::size_t at = 16 + random() % (frame.size() - 16);
    other[at] ^= static_cast<std::byte>(1u << (random() % 8));
    const auto hash = unpack_lz4_frame(other, out);
    EXPECT_TRUE(!hash || *hash != xxh3_64(stored) || out == stored) << "byte " << at;
  }
}

TEST(Lz4Frame, EqualBytesGiveEqualBuffers) {
  const Bytes stored = values(100000, 381, 20);
  EXPECT_EQ(framed(stored, 2), framed(stored, 2));
}

}  // namespace
}  // namespace homolog::store

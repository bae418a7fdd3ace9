// The shard's fixed vocabulary, shared by writer, reader and verifier (prose: FORMAT.md).
// Names, types and attributes are a closed list, so that no patient text can enter a store.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "volume/grid.h"

namespace homolog::store {

inline constexpr int kFormatVersion = 1;
inline constexpr std::string_view kShardFormat = "homolog-pair-shard";
inline constexpr std::string_view kStoreFormat = "homolog-pair-store";
inline constexpr int kBloscFilter = 32001;  // registered HDF5 filter id
inline constexpr std::int64_t kMaxCropsPerShard = 16384;
inline constexpr std::int64_t kMaxPairsPerShard = 1 << 20;
inline constexpr std::int64_t kMaxSide = 1024;  // voxels, a side of a stored crop
inline constexpr std::int64_t kMaxCropBytes = std::int64_t{1} << 29;

// Persisted by name ("uint16", "int16"): never rename.
enum class Encoding {
  ClippedU16,  // clip(HU, low, high) - low
  RawI16,      // HU as it is
};
const char* encoding_name(Encoding encoding) noexcept;

// What all crops of a shard have in common.
struct ShardHeader {
  Index3 crop;     // sides of the stored crop, voxels, margin included
  int margin = 0;  // voxels on each side that random shifts may use
  Encoding encoding = Encoding::ClippedU16;
  int window_low_hu = -125, window_high_hu = 255;
  std::string split = "train";  // or "validation"
  std::string sam_hash;         // 16 hex digits, "0000000000000000" where no SAM took part
  std::string plan_hash;        // of the settings and studies of the store, 16 hex digits

  std::int64_t voxels() const noexcept { return crop.x * crop.y * crop.z; }
  std::int64_t bytes() const noexcept { return voxels() * 2; }
  bool operator==(const ShardHeader&) const = default;
};
// Throws Fault::Usage naming what is out of bounds.
void validate(const ShardHeader& header);

// One row of "crop_table".
struct CropRecord {
  std::uint32_t study = 0;                    // row of "studies"
  std::array<std::int32_t, 3> voxel{};        // the landmark's index (x, y, z) in the volume, LPS+
  std::array<double, 3> centre_lps_mm{};      // the landmark's position
  std::array<double, 3> spacing_mm{1, 1, 1};  // native, x y z
  std::array<double, 9> direction{1, 0, 0, 0, 1, 0, 0, 0, 1};
  float outside_share = 0;     // of the crop outside the volume, 0..1
  std::uint64_t checksum = 0;  // xxh3-64 of the stored integers; the writer fills it
};

// One row of "pair_table": a query and its key, rows of "crops" of the same shard.
struct PairRecord {
  std::uint32_t query = 0, key = 0;
  float score = 0;  // SAM similarity of the two points, -1..1
};

bool is_hex_id(std::string_view text) noexcept;    // 16 digits 0-9a-f
std::string shard_file_name(std::int64_t number);  // "shard-00000.h5"

// HU -> stored integers (bit pattern of int16 for RawI16). Sizes equal.
void encode(const ShardHeader& header, std::span<const std::int16_t> hu,
            std::span<std::uint16_t> stored);
// Stored integers -> clip(HU, low, high) - low, in place, whatever the encoding.
void to_window(const ShardHeader& header, std::span<std::uint16_t> stored);

}  // namespace homolog::store

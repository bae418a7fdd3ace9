// The shard's fixed vocabulary, shared by writer, reader and verifier (prose: FORMAT.md).
// Names, types and attributes are a closed list, so that no patient text can enter a store.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "volume/grid.h"

namespace homolog::store {

inline constexpr int kFormatVersion = 2;
inline constexpr std::string_view kShardFormat = "homolog-pair-shard";
inline constexpr std::string_view kStoreFormat = "homolog-pair-store";
inline constexpr std::string_view kAxes = "crop,z,y,x in LPS+";
inline constexpr int kBloscFilter = 32001;  // registered HDF5 filter id
inline constexpr std::int64_t kMaxCropsPerShard = 16384;
inline constexpr std::int64_t kMaxPairsPerShard = 1 << 20;
inline constexpr std::int64_t kMaxSide = 1024;  // voxels, a side of a stored crop
inline constexpr std::int64_t kMaxCropBytes = std::int64_t{1} << 29;

// All that a shard holds.
inline const std::set<std::string> kRootAttributes{
    "format", "version", "axes",     "encoding",  "window_low_hu", "window_high_hu",
    "margin", "split",   "sam_hash", "plan_hash", "tables_xxh3",   "crop_table_xxh3"};
inline const std::set<std::string> kDatasets{"crops", "chunk_table", "crop_table", "pair_table",
                                             "study_table"};

// Persisted by name ("uint16", "uint8", "int16"): never rename.
enum class Encoding {
  ClippedU16,  // clip(HU, low, high) - low
  SteppedU8,   // the same in 256 steps: round((clip(HU, low, high) - low) / step)
  RawI16,      // HU as it is
};
const char* encoding_name(Encoding encoding) noexcept;
Encoding encoding_named(std::string_view name);  // throws Fault::Data for any other name

// Compressor within Blosc, behind byte shuffle. Persisted by Blosc's name ("lz4", "zstd").
enum class Codec { Lz4, Zstd };
const char* codec_name(Codec codec) noexcept;
Codec codec_named(std::string_view name);  // throws Fault::Data

// What all crops of a shard have in common.
struct ShardHeader {
  Index3 crop;     // sides of the stored crop, voxels, margin included
  int margin = 0;  // voxels on each side that random shifts may use
  Encoding encoding = Encoding::ClippedU16;
  Codec codec = Codec::Lz4;
  int window_low_hu = -125, window_high_hu = 255;
  std::string split = "train";  // or "validation"
  std::string sam_hash;         // 16 hex digits, "0000000000000000" where no SAM took part
  std::string plan_hash;        // of the settings and studies of the store, 16 hex digits

  std::int64_t voxels() const noexcept { return crop.x * crop.y * crop.z; }
  int voxel_bytes() const noexcept { return encoding == Encoding::SteppedU8 ? 1 : 2; }
  std::int64_t bytes() const noexcept { return voxels() * voxel_bytes(); }  // of a crop, decoded
  int window_width() const noexcept { return window_high_hu - window_low_hu; }
  // HU between two levels of SteppedU8; 1 where the window has no more than 256 values.
  double step_hu() const noexcept { return window_width() > 255 ? window_width() / 255.0 : 1.0; }
  bool operator==(const ShardHeader&) const = default;
};
// Throws Fault::Usage naming what is out of bounds.
void validate(const ShardHeader& header);

// One row of "study_table". kRowBytes, here and below: of a row on disk, its columns packed.
struct StudyRecord {
  static constexpr std::uint64_t kRowBytes = 52;
  std::array<char, 16> id{};                 // pseudonym, 16 hex digits
  std::array<std::int32_t, 3> grid{};        // sides of the volume, voxels (x, y, z)
  std::array<std::int32_t, 3> body_first{};  // box of HU > -500, first and last index;
  std::array<std::int32_t, 3> body_last{};   // all 0 where it is not known
  std::string name() const { return {id.data(), id.size()}; }
  static StudyRecord named(std::string_view id);  // REQUIRES: 16 characters
};

// One row of "crop_table".
struct CropRecord {
  static constexpr std::uint64_t kRowBytes = 140;
  std::uint32_t study = 0;                    // row of "study_table"
  std::array<std::int32_t, 3> voxel{};        // the landmark's index (x, y, z) in the volume, LPS+
  std::array<double, 3> centre_lps_mm{};      // the landmark's position
  std::array<double, 3> spacing_mm{1, 1, 1};  // of the crop, x y z
  std::array<double, 9> direction{1, 0, 0, 0, 1, 0, 0, 0, 1};
  float outside_share = 0;  // of the crop outside the volume, 0..1
};

// One row of "chunk_table": where a crop lies in the file, so that no reader has to walk HDF5's own
// index, and what its decoded bytes hash to.
struct ChunkRecord {
  static constexpr std::uint64_t kRowBytes = 20;
  std::uint64_t offset = 0;    // byte in the file
  std::uint64_t checksum = 0;  // xxh3-64 of the stored integers
  std::uint32_t size = 0;      // bytes, compressed
  bool operator==(const ChunkRecord&) const = default;
};

// One row of "pair_table": a query and its key, rows of "crops" of the same shard.
struct PairRecord {
  static constexpr std::uint64_t kRowBytes = 12;
  std::uint32_t query = 0, key = 0;
  float score = 0;  // SAM similarity of the two points, -1..1
  bool operator==(const PairRecord&) const = default;
};

bool is_hex_id(std::string_view text) noexcept;  // 16 digits 0-9a-f
bool is_split(std::string_view name) noexcept;   // train or validation

// HU -> stored integers, little-endian; `stored` takes header.voxel_bytes() a voxel.
void encode(const ShardHeader& header, std::span<const std::int16_t> hu,
            std::span<std::byte> stored);
// Stored integers -> clip(HU, low, high) - low, whatever the encoding. Of 16-bit encodings both may
// be the same memory. SteppedU8: at most 1 HU off for windows up to 510 HU, else half a step.
void to_window(const ShardHeader& header, std::span<const std::byte> stored,
               std::span<std::uint16_t> window);

}  // namespace homolog::store

// Reads one shard: its tables come once through HDF5, then crops by pread and Blosc, outside HDF5's
// lock, in as many threads as call. What stays in memory is 24 bytes a crop and 12 a pair.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "sharding/store/packed_crop.h"
#include "sharding/store/shard_format.h"

namespace homolog::store {

class ShardReader {
 public:
  // What messages about crops call it: "shard-00000.h5" or "staged copy of shard-00000.h5".
  enum class Role { Own, StagedCopy };
  // Throws Fault::Data naming the file and what is wrong: missing, empty, truncated, no HDF5, other
  // version, a link, attribute or layout outside the format, tables out of bounds. Thread-safe.
  explicit ShardReader(const std::filesystem::path& file, Role role = Role::Own);
  ~ShardReader();
  ShardReader(ShardReader&& other) noexcept;
  ShardReader(const ShardReader&) = delete;

  const ShardHeader& header() const noexcept { return header_; }
  const std::vector<StudyRecord>& studies() const noexcept { return studies_; }
  const std::vector<PairRecord>& pairs() const noexcept { return pairs_; }
  std::int64_t crops() const noexcept { return static_cast<std::int64_t>(chunks_.size()); }
  const ChunkRecord& chunk(std::int64_t row) const {
    return chunks_.at(static_cast<std::size_t>(row));
  }
  // Whether pairs and crops lie where `other` has them, with the same checksums.
  bool has_tables_of(const ShardReader& other) const noexcept {
    return pairs_ == other.pairs_ && chunks_ == other.chunks_;
  }
  // Landmark, grid and study of every crop: not kept in memory, read from the file and checked.
  // Throws Fault::Data.
  std::vector<CropRecord> read_crop_table() const;

  // From now on crops are read past the page cache (O_DIRECT). False: this file system cannot, and
  // nothing changes.
  bool pass_page_cache();
  bool passes_page_cache() const noexcept { return passes_page_cache_; }

  // Memory that a thread uses again for every crop.
  struct Scratch {
    PackedCrop packed;
    std::vector<std::byte> stored;
  };
  // A crop as clip(HU, low, high) - low, [z][y][x], header().voxels() values; checksum verified.
  // Thread-safe. Throws Fault::Environment when the file cannot be read (a retry may help),
  // Fault::Data when what was read is wrong (it will not). Returns whether the disk was waited for:
  // not all was in the page cache.
  bool read_window(std::int64_t row, std::span<std::uint16_t> out, Scratch& scratch) const;
  // As above, header().bytes() stored bytes.
  bool read_stored(std::int64_t row, std::span<std::byte> out, PackedCrop& packed) const;
  // The two halves of read_window: what the disk gives, then what it says. `stored` is scratch.
  bool read_packed(std::int64_t row, PackedCrop& packed) const;
  void unpack_window(std::int64_t row, const PackedCrop& packed, std::span<std::uint16_t> out,
                     std::vector<std::byte>& stored) const;
  // Asks the kernel to read a crop into the page cache meanwhile; returns at once.
  void will_read(std::int64_t row) const noexcept;
  // "shard-00000.h5, crop 12 at byte 4711".
  std::string where(std::int64_t row) const;
  const std::filesystem::path& file() const noexcept { return file_; }

 private:
  friend class ShardOpener;
  ssize_t read_some(std::span<std::byte> to, std::uint64_t offset, int flags) const;
  bool read_cached(std::int64_t row, std::span<std::byte> packed) const;
  void read_direct(std::int64_t row, std::span<std::byte> around) const;
  void unpack_stored(std::int64_t row, const PackedCrop& packed, std::span<std::byte> out) const;
  [[noreturn]] void cannot_read(std::int64_t row, int code) const;
  [[noreturn]] void ends_within(std::int64_t row) const;
  std::filesystem::path file_;
  Role role_ = Role::Own;
  int descriptor_ = -1;
  bool passes_page_cache_ = false;
  ShardHeader header_;
  std::vector<StudyRecord> studies_;
  std::vector<PairRecord> pairs_;
  std::vector<ChunkRecord> chunks_;
};

}  // namespace homolog::store

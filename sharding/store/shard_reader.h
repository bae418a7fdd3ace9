// Reads one shard: HDF5 tells once where every chunk lies, then crops come by pread and our own
// decoding, outside HDF5's lock, in as many threads as call.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "sharding/store/shard_format.h"

namespace homolog::store {

class ShardReader {
 public:
  // Throws Fault::Data naming the file and what is wrong: missing, empty, truncated, no HDF5, other
  // version, a link, attribute or layout outside the format, tables out of bounds.
  explicit ShardReader(const std::filesystem::path& file);
  ~ShardReader();
  ShardReader(ShardReader&& other) noexcept;
  ShardReader(const ShardReader&) = delete;

  const ShardHeader& header() const noexcept { return header_; }
  const std::vector<std::string>& studies() const noexcept { return studies_; }
  const std::vector<CropRecord>& crops() const noexcept { return crops_; }
  const std::vector<PairRecord>& pairs() const noexcept { return pairs_; }

  // Stored integers of a crop ([z][y][x]), checksum verified. `scratch` is reused. Thread-safe.
  // Throws Fault::Environment when the file cannot be read (a retry may help), Fault::Data when
  // what was read is wrong (it will not).
  void read_crop(std::int64_t row, std::span<std::uint16_t> out,
                 std::vector<std::byte>& scratch) const;
  std::uint64_t packed_bytes(std::int64_t row) const {
    return chunks_.at(static_cast<std::size_t>(row)).size;
  }
  // "shard-00000.h5, crop 12 at byte 4711".
  std::string where(std::int64_t row) const;

 private:
  friend class ShardOpener;
  struct Chunk {
    std::uint64_t offset = 0, size = 0;
  };
  std::filesystem::path file_;
  int descriptor_ = -1;
  ShardHeader header_;
  std::vector<std::string> studies_;
  std::vector<CropRecord> crops_;
  std::vector<PairRecord> pairs_;
  std::vector<Chunk> chunks_;
};

}  // namespace homolog::store

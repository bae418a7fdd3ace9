// Writes one shard under a temporary name and publishes it by rename.
// Space is reserved ahead of HDF5, so that a full disk is met here and not inside its cache.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sharding/store/shard_format.h"

namespace homolog::store {

// What store.json says about a shard.
struct ShardSummary {
  std::string file;  // name within the store
  std::string split;
  std::int64_t pairs = 0, crops = 0;
  std::uint64_t bytes = 0;  // of the file
  std::uint64_t xxh3 = 0;   // of the file
  bool operator==(const ShardSummary&) const = default;
};

class ShardWriter {
 public:
  // Bytes kept free on the disk behind the crops, for tables, B-tree and headers.
  static constexpr std::uint64_t kRoomBehindCrops = 4 << 20;

  // Ids of `studies` are pseudonyms (16 hex digits), refused otherwise (Fault::Usage).
  // Throws Fault::Environment: folder missing, disk full.
  ShardWriter(std::filesystem::path file, ShardHeader header, std::vector<StudyRecord> studies);
  ~ShardWriter();  // not sealed: nothing is left

  // `hu`: header.voxels() Hounsfield units, [z][y][x]. Returns the crop's row.
  std::uint32_t add_crop(const CropRecord& record, std::span<const std::int16_t> hu);
  // REQUIRES: both rows exist, differ, and belong to different studies; a finite score.
  void add_pair(const PairRecord& pair);
  std::int64_t crops() const noexcept;
  std::int64_t pairs() const noexcept;
  // Writes the tables, closes, syncs, renames. Once.
  ShardSummary seal();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace homolog::store

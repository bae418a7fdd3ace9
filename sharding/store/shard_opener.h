// Opens a shard through HDF5 and checks every bound before a byte of a crop is read.
// The HDF5 library opens the file only after walk_structure() has found nothing in it but what the
// format lists.
#pragma once

#include "sharding/store/h5.h"
#include "sharding/store/shard_reader.h"

namespace homolog::store {

class ShardOpener {
 public:
  ShardOpener(ShardReader& reader, std::uint64_t file_bytes);
  void open();  // fills the reader

  // For ShardReader::read_crop_table and the verifier.
  static h5::Handle open_file(const std::filesystem::path& file);
  static std::vector<CropRecord> crop_table(const ShardReader& reader, std::uint64_t file_bytes);

 private:
  [[noreturn]] void refuse(const std::string& what) const;
  void read_header();
  void read_crops_set();
  void read_tables();
  void check_chunks();
  void check_pairs();

  ShardReader& reader_;
  std::uint64_t file_bytes_;
  h5::Handle file_;
  std::int64_t count_ = 0;
};

}  // namespace homolog::store

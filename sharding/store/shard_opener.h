// Opens a shard through HDF5 and checks every bound before a byte of a crop is read.
// Only what the format lists may be in the file: no links, no filters on tables, no further
// attribute.
#pragma once

#include "sharding/store/h5.h"
#include "sharding/store/shard_reader.h"

namespace homolog::store {

class ShardOpener {
 public:
  ShardOpener(ShardReader& reader, std::uint64_t file_bytes)
      : reader_(reader), file_bytes_(file_bytes) {}
  void open();

 private:
  [[noreturn]] void refuse(const std::string& what) const;
  void check_names();
  void check_attributes(hid_t at, bool root);
  void read_header();
  void read_crops_set();
  std::int64_t table_rows(hid_t set, const char* name, hid_t expected_type, std::int64_t limit);
  void read_tables();
  void check_tables();
  void read_chunk_addresses(hid_t set, std::int64_t count);

  ShardReader& reader_;
  std::uint64_t file_bytes_;
  h5::Handle file_;
  std::int64_t count_ = 0;
};

}  // namespace homolog::store

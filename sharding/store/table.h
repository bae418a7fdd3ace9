// One-dimensional tables of a shard: types, layout and length are checked before memory is taken.
// For the .cpp files of this folder alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "sharding/store/h5.h"

namespace homolog::store {

struct Table {
  hid_t file;
  std::uint64_t file_bytes;                        // no table is longer
  std::function<void(const std::string&)> refuse;  // throws

  // Rows of the dataset `name`, whose columns on disk are `type`, packed; at most `limit`.
  std::int64_t rows(const std::string& name, const h5::Handle& type, std::int64_t limit) const;
  // What the attributes tables_xxh3 and crop_table_xxh3 hold: XXH3-64 of the rows as they are on
  // disk. REQUIRES: rows() has accepted the tables.
  std::string tables_hash() const;  // of study_table, chunk_table, pair_table, in this order
  std::string crop_table_hash() const;
  // REQUIRES: `type` is Row's in memory.
  template <class Row>
  std::vector<Row> read(const std::string& name, const h5::Handle& type, std::int64_t limit) const {
    std::vector<Row> all(static_cast<std::size_t>(rows(name, type, limit)));
    if (!all.empty()) read_into(name, type, all.data());
    return all;
  }

 private:
  void add_to(Xxh3& hash, const std::string& name, const h5::Handle& type) const;
  h5::Handle open(const std::string& name) const;
  void read_into(const std::string& name, const h5::Handle& type, void* to) const;
};

}  // namespace homolog::store

#include "sharding/store/table.h"

namespace homolog::store {

h5::Handle Table::open(const std::string& name) const {
  h5::Handle set(H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!set.valid()) refuse(name + " is no dataset");
  return set;
}

std::int64_t Table::rows(const std::string& name, const h5::Handle& type,
                         std::int64_t limit) const {
  const h5::Handle set = open(name);
  const h5::Handle on_disk(H5Dget_type(set), H5Tclose), space(H5Dget_space(set), H5Sclose),
      plist(H5Dget_create_plist(set), H5Pclose), expected = h5::packed(type);
  hsize_t rows = 0;
  if (H5Tequal(on_disk, expected) <= 0) refuse(name + " has other columns");
  if (H5Sget_simple_extent_ndims(space) != 1 ||
      H5Sget_simple_extent_dims(space, &rows, nullptr) != 1) {
    refuse(name + " is no list");
  }
  const H5D_layout_t layout = H5Pget_layout(plist);
  if ((layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) || H5Pget_nfilters(plist) != 0 ||
      H5Pget_external_count(plist) != 0) {
    refuse(name + " is stored in another way than plainly");
  }
  if (rows > static_cast<hsize_t>(limit) || rows * H5Tget_size(on_disk) > file_bytes)
    refuse(name + " is longer than the file");
  return static_cast<std::int64_t>(rows);
}

void Table::add_to(Xxh3& hash, const std::string& name, const h5::Handle& type) const {
  const h5::Handle packed = h5::packed(type), set = open(name), space(H5Dget_space(set), H5Sclose);
  const auto rows = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space));
  std::vector<std::byte> bytes(rows * H5Tget_size(packed));
  if (bytes.empty()) return;
  read_into(name, packed, bytes.data());
  hash.update(bytes.data(), bytes.size());
}

std::string Table::tables_hash() const {
  Xxh3 hash;
  add_to(hash, "study_table", h5::study_type());
  add_to(hash, "chunk_table", h5::chunk_type());
  add_to(hash, "pair_table", h5::pair_type());
  return hex64(hash.digest());
}

std::string Table::crop_table_hash() const {
  Xxh3 hash;
  add_to(hash, "crop_table", h5::crop_type());
  return hex64(hash.digest());
}

void Table::read_into(const std::string& name, const h5::Handle& type, void* to) const {
  const h5::Handle set = open(name), transfer(H5Pcreate(H5P_DATASET_XFER), H5Pclose);
  // HDF5 clears a buffer of 1 MiB for each read, which took most of the time of an opening.
  H5Pset_buffer(transfer, 32 << 10, nullptr, nullptr);
  if (H5Dread(set, type, H5S_ALL, H5S_ALL, transfer, to) < 0) refuse(name + " cannot be read");
}

}  // namespace homolog::store

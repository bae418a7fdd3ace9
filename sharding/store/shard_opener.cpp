// The checks of a shard at its opening. HDF5 is closed again when they are done.
// Sizes are compared with the file's before memory is taken, so a forged size costs nothing.
#include "sharding/store/shard_opener.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <set>

#include "base/open_files.h"

namespace homolog::store {
namespace {

const std::set<std::string> kAttributes{"format",        "version",        "axes",   "encoding",
                                        "window_low_hu", "window_high_hu", "margin", "split",
                                        "sam_hash",      "plan_hash"};
const std::set<std::string> kDatasets{"crops", "crop_table", "pair_table", "studies"};

}  // namespace

void ShardOpener::refuse(const std::string& what) const {
  throw Error(Fault::Data, reader_.file_.string() + ": " + what,
              "copy this shard again or write it again with homolog shard; homolog store verify "
              "tells which are broken");
}

void ShardOpener::open() {
  h5::be_quiet();
  const h5::Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  errno = 0;
  file_ = {H5Fopen(reader_.file_.c_str(), H5F_ACC_RDONLY, access), H5Fclose};
  if (!file_.valid() && is_open_file_limit(errno)) {
    throw Error(Fault::Environment, reader_.file_.string() + ": " + std::strerror(errno),
                kOpenFileRemedy);
  }
  if (!file_.valid()) {
    const std::string why = h5::last_message();  // which the next call forgets
    const bool magic = H5Fis_hdf5(reader_.file_.c_str()) > 0;
    refuse((magic ? "a truncated or damaged HDF5 file" : "not an HDF5 file") +
           (why.empty() ? "" : " (" + why + ")"));
  }
  read_header();
  check_names();
  read_crops_set();
  read_tables();
  check_tables();
}

void ShardOpener::check_attributes(hid_t at, bool root) {
  struct Found {
    std::vector<std::string> names;
  } found;
  hsize_t index = 0;
  const herr_t rc = H5Aiterate2(
      at, H5_INDEX_NAME, H5_ITER_INC, &index,
      [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
        static_cast<Found*>(out)->names.emplace_back(name);
        return static_cast<Found*>(out)->names.size() > 64 ? 1 : 0;
      },
      &found);
  if (rc < 0) refuse("its attributes cannot be listed");
  for (std::size_t i = 0; i < found.names.size(); ++i) {
    // The name is not repeated: it may hold what must not be shown.
    if (!root || !kAttributes.contains(found.names[i]))
      refuse("attribute number " + std::to_string(i) + " is not of the format");
  }
}

void ShardOpener::check_names() {
  struct Found {
    std::set<std::string> names;
    bool hard = true;
  } found;
  const herr_t rc = H5Literate(
      file_, H5_INDEX_NAME, H5_ITER_INC, nullptr,
      [](hid_t, const char* name, const H5L_info_t* info, void* out) -> herr_t {
        auto& f = *static_cast<Found*>(out);
        f.hard = f.hard && info->type == H5L_TYPE_HARD;
        f.names.insert(name);
        return f.names.size() > 16 ? 1 : 0;
      },
      &found);
  if (rc < 0) refuse("its content cannot be listed");
  if (!found.hard) refuse("an external or soft link, which a shard may not hold");
  if (found.names != kDatasets)
    refuse("other objects than crops, crop_table, pair_table and studies");
}

void ShardOpener::read_header() {
  const auto& path = reader_.file_;
  const hid_t f = file_;
  if (h5::read_string(f, "format", path) != kShardFormat) refuse("not a pair shard of homolog");
  const int version = h5::read_int(f, "version", path);
  if (version != kFormatVersion) {
    throw Error(Fault::Data,
                path.string() + ": shard format version " + std::to_string(version) +
                    ", this program reads version " + std::to_string(kFormatVersion),
                "use the homolog that wrote it, or write the store again with homolog shard");
  }
  check_attributes(f, true);
  ShardHeader& h = reader_.header_;
  const std::string encoding = h5::read_string(f, "encoding", path);
  if (encoding != "uint16" && encoding != "int16") refuse("an unknown encoding");
  h.encoding = encoding == "uint16" ? Encoding::ClippedU16 : Encoding::RawI16;
  h.window_low_hu = h5::read_int(f, "window_low_hu", path);
  h.window_high_hu = h5::read_int(f, "window_high_hu", path);
  h.margin = h5::read_int(f, "margin", path);
  h.split = h5::read_string(f, "split", path);
  h.sam_hash = h5::read_string(f, "sam_hash", path);
  h.plan_hash = h5::read_string(f, "plan_hash", path);
}

void ShardOpener::read_crops_set() {
  const h5::Handle set(H5Dopen2(file_, "crops", H5P_DEFAULT), H5Dclose);
  if (!set.valid()) refuse("crops is no dataset");
  check_attributes(set, false);
  const h5::Handle type(H5Dget_type(set), H5Tclose), space(H5Dget_space(set), H5Sclose),
      plist(H5Dget_create_plist(set), H5Pclose);
  const bool clipped = reader_.header_.encoding == Encoding::ClippedU16;
  if (H5Tequal(type, clipped ? H5T_STD_U16LE : H5T_STD_I16LE) <= 0)
    refuse("crops of another type than its encoding");
  hsize_t dims[4] = {}, chunk[4] = {};
  if (H5Sget_simple_extent_ndims(space) != 4 ||
      H5Sget_simple_extent_dims(space, dims, nullptr) != 4 || H5Pget_layout(plist) != H5D_CHUNKED ||
      H5Pget_chunk(plist, 4, chunk) != 4) {
    refuse("crops is not [n, z, y, x] in chunks");
  }
  if (dims[0] > static_cast<hsize_t>(kMaxCropsPerShard) || dims[0] > file_bytes_)
    refuse("more crops than a shard may hold");
  for (const hsize_t side : {dims[1], dims[2], dims[3]}) {
    if (side > static_cast<hsize_t>(kMaxSide))
      refuse("a crop side beyond " + std::to_string(kMaxSide) + " voxels");
  }
  if (chunk[0] != 1 || chunk[1] != dims[1] || chunk[2] != dims[2] || chunk[3] != dims[3]) {
    refuse("a chunk that is not one crop");
  }
  unsigned flags = 0;
  std::size_t values = 0;
  if (H5Pget_nfilters(plist) != 1 ||
      H5Pget_filter2(plist, 0, &flags, &values, nullptr, 0, nullptr, nullptr) != kBloscFilter) {
    refuse("crops that are not compressed with Blosc (filter 32001) alone");
  }
  reader_.header_.crop = {static_cast<std::int64_t>(dims[3]), static_cast<std::int64_t>(dims[2]),
                          static_cast<std::int64_t>(dims[1])};
  try {
    validate(reader_.header_);
  } catch (const Error& e) {
    refuse("its header: " + e.summary());
  }
  count_ = static_cast<std::int64_t>(dims[0]);
  read_chunk_addresses(set, count_);
}

void ShardOpener::read_chunk_addresses(hid_t set, std::int64_t count) {
  auto& chunks = reader_.chunks_;
  for (std::int64_t row = 0; row < count; ++row) {
    const hsize_t at[4] = {static_cast<hsize_t>(row), 0, 0, 0};
    unsigned mask = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    if (H5Dget_chunk_info_by_coord(set, at, &mask, &address, &size) < 0 || address == HADDR_UNDEF) {
      refuse("crop " + std::to_string(row) + " has no data");
    }
    if (mask != 0 || size == 0 || address > file_bytes_ || size > file_bytes_ - address) {
      refuse("crop " + std::to_string(row) + " lies outside the file (byte " +
             std::to_string(address) + ")");
    }
    chunks.push_back({address, size});
  }
  auto sorted = chunks;
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.offset < b.offset; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i].offset < sorted[i - 1].offset + sorted[i - 1].size)
      refuse("crops that overlap in the file");
  }
}

std::int64_t ShardOpener::table_rows(hid_t set, const char* name, hid_t expected_type,
                                     std::int64_t limit) {
  const std::string table(name);
  if (set < 0) refuse(table + " is no dataset");
  check_attributes(set, false);
  const h5::Handle type(H5Dget_type(set), H5Tclose), space(H5Dget_space(set), H5Sclose),
      plist(H5Dget_create_plist(set), H5Pclose), expected = h5::packed(expected_type);
  hsize_t rows = 0;
  if (H5Tequal(type, expected) <= 0) refuse(table + " has other columns");
  if (H5Sget_simple_extent_ndims(space) != 1 ||
      H5Sget_simple_extent_dims(space, &rows, nullptr) != 1) {
    refuse(table + " is no list");
  }
  const H5D_layout_t layout = H5Pget_layout(plist);
  if ((layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) || H5Pget_nfilters(plist) != 0 ||
      H5Pget_external_count(plist) != 0) {
    refuse(table + " is stored in another way than plainly");
  }
  if (rows > static_cast<hsize_t>(limit) || rows * H5Tget_size(type) > file_bytes_)
    refuse(table + " is longer than the file");
  return static_cast<std::int64_t>(rows);
}

void ShardOpener::read_tables() {
  const auto open_set = [this](const char* name) {
    return h5::Handle(H5Dopen2(file_, name, H5P_DEFAULT), H5Dclose);
  };
  const h5::Handle crop_set = open_set("crop_table"), pair_set = open_set("pair_table"),
                   study_set = open_set("studies");
  const h5::Handle crop_type = h5::crop_type(), pair_type = h5::pair_type(),
                   id_type = h5::fixed_string(16);
  reader_.crops_.resize(
      static_cast<std::size_t>(table_rows(crop_set, "crop_table", crop_type, kMaxCropsPerShard)));
  reader_.pairs_.resize(
      static_cast<std::size_t>(table_rows(pair_set, "pair_table", pair_type, kMaxPairsPerShard)));
  const auto studies =
      static_cast<std::size_t>(table_rows(study_set, "studies", id_type, kMaxCropsPerShard));
  std::string ids(studies * 16, '\0');
  const auto read = [this](hid_t set, hid_t type, void* to, std::size_t rows) {
    if (rows > 0 && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) < 0)
      refuse("a table cannot be read");
  };
  read(crop_set, crop_type, reader_.crops_.data(), reader_.crops_.size());
  read(pair_set, pair_type, reader_.pairs_.data(), reader_.pairs_.size());
  read(study_set, id_type, ids.data(), studies);
  for (std::size_t i = 0; i < studies; ++i) reader_.studies_.push_back(ids.substr(i * 16, 16));
}

void ShardOpener::check_tables() {
  const auto& crops = reader_.crops_;
  if (static_cast<std::int64_t>(crops.size()) != count_)
    refuse("crop_table and crops differ in length");
  for (const std::string& id : reader_.studies_) {
    if (!is_hex_id(id)) refuse("a study id that is no pseudonym");
  }
  for (std::size_t i = 0; i < crops.size(); ++i) {
    const CropRecord& c = crops[i];
    const bool good = c.study < reader_.studies_.size() && std::isfinite(c.outside_share) &&
                      std::all_of(c.spacing_mm.begin(), c.spacing_mm.end(),
                                  [](double s) { return s > 0 && std::isfinite(s); }) &&
                      std::all_of(c.centre_lps_mm.begin(), c.centre_lps_mm.end(),
                                  [](double v) { return std::isfinite(v); });
    if (!good) refuse("row " + std::to_string(i) + " of crop_table is out of bounds");
  }
  for (std::size_t i = 0; i < reader_.pairs_.size(); ++i) {
    const PairRecord& p = reader_.pairs_[i];
    if (p.query >= crops.size() || p.key >= crops.size() || p.query == p.key ||
        !std::isfinite(p.score)) {
      refuse("row " + std::to_string(i) + " of pair_table is out of bounds");
    }
  }
}

}  // namespace homolog::store

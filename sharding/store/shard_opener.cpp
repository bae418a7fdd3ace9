// The checks of a shard at its opening. HDF5 is closed again when they are done.
// Sizes are compared with the file's before memory is taken, so a forged size costs nothing.
#include "sharding/store/shard_opener.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "base/open_files.h"
#include "sharding/store/codec.h"
#include "sharding/store/file_structure.h"
#include "sharding/store/table.h"

namespace homolog::store {
namespace {

[[noreturn]] void refuse_file(const std::filesystem::path& file, const std::string& what) {
  throw Error(Fault::Data, file.string() + ": " + what,
              "copy this shard again or write it again with homolog shard; homolog store verify "
              "tells which are broken");
}

}  // namespace

ShardOpener::ShardOpener(ShardReader& reader, std::uint64_t file_bytes)
    : reader_(reader), file_bytes_(file_bytes) {}

void ShardOpener::refuse(const std::string& what) const { refuse_file(reader_.file_, what); }

h5::Handle ShardOpener::open_file(const std::filesystem::path& file) {
  h5::be_quiet();
  const h5::Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  errno = 0;
  h5::Handle opened(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (opened.valid()) return opened;
  if (is_open_file_limit(errno))
    throw Error(Fault::Environment, file.string() + ": " + std::strerror(errno), kOpenFileRemedy);
  const std::string why = h5::last_message();  // which the next call forgets
  const bool magic = H5Fis_hdf5(file.c_str()) > 0;
  refuse_file(file, (magic ? "a truncated or damaged HDF5 file" : "not an HDF5 file") +
                        (why.empty() ? "" : " (" + why + ")"));
}

void ShardOpener::open() {
  h5::be_quiet();
  walk_structure({reader_.file_, reader_.descriptor_, file_bytes_});
  file_ = open_file(reader_.file_);
  read_header();
  read_crops_set();
  read_tables();
  check_chunks();
  check_pairs();
}

void ShardOpener::read_header() {
  const auto& path = reader_.file_;
  const hid_t f = file_;
  if (h5::read_string(f, "format", path) != kShardFormat) refuse("not a pair shard of homolog");
  ShardHeader& h = reader_.header_;
  try {
    h.encoding = encoding_named(h5::read_string(f, "encoding", path));
  } catch (const Error& e) {
    refuse(e.summary());
  }
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
  const h5::Handle type(H5Dget_type(set), H5Tclose), space(H5Dget_space(set), H5Sclose),
      plist(H5Dget_create_plist(set), H5Pclose);
  ShardHeader& header = reader_.header_;
  if (H5Tequal(type, h5::voxel_type(header.encoding)) <= 0)
    refuse("crops of another type than its encoding");
  hsize_t dims[4] = {}, chunk[4] = {};
  if (H5Sget_simple_extent_ndims(space) != 4 ||
      H5Sget_simple_extent_dims(space, dims, nullptr) != 4 || H5Pget_layout(plist) != H5D_CHUNKED ||
      H5Pget_chunk(plist, 4, chunk) != 4) {
    refuse("crops is not [n, z, y, x] in chunks");
  }
  if (chunk[0] != 1 || chunk[1] != dims[1] || chunk[2] != dims[2] || chunk[3] != dims[3]) {
    refuse("a chunk that is not one crop");
  }
  unsigned flags = 0, parameters[7] = {};
  std::size_t values = std::size(parameters);
  if (H5Pget_nfilters(plist) != 1 ||
      H5Pget_filter2(plist, 0, &flags, &values, parameters, 0, nullptr, nullptr) != kBloscFilter) {
    refuse("crops that are not compressed with Blosc (filter 32001) alone");
  }
  header.crop = {static_cast<std::int64_t>(dims[3]), static_cast<std::int64_t>(dims[2]),
                 static_cast<std::int64_t>(dims[1])};
  try {
    header.codec = codec_of(std::span(parameters).first(std::min(values, std::size(parameters))));
    validate(header);
  } catch (const Error& e) {
    refuse("its header: " + e.summary());
  }
  count_ = static_cast<std::int64_t>(dims[0]);
}

void ShardOpener::read_tables() {
  const Table table{file_, file_bytes_, [this](const std::string& what) { refuse(what); }};
  reader_.studies_ = table.read<StudyRecord>("study_table", h5::study_type(), kMaxCropsPerShard);
  reader_.chunks_ = table.read<ChunkRecord>("chunk_table", h5::chunk_type(), kMaxCropsPerShard);
  reader_.pairs_ = table.read<PairRecord>("pair_table", h5::pair_type(), kMaxPairsPerShard);
  if (table.rows("crop_table", h5::crop_type(), kMaxCropsPerShard) != count_ ||
      reader_.crops() != count_) {
    refuse("chunk_table, crop_table and crops differ in length");
  }
  if (table.tables_hash() != h5::read_string(file_, "tables_xxh3", reader_.file_))
    refuse("study_table, chunk_table or pair_table differ from their checksum");
  for (const StudyRecord& study : reader_.studies_) {
    if (!is_hex_id(study.name())) refuse("a study id that is no pseudonym");
  }
}

void ShardOpener::check_chunks() {
  std::vector<std::int64_t> by_offset;
  for (std::int64_t row = 0; row < count_; ++row) {
    const ChunkRecord& c = reader_.chunk(row);
    if (c.size == 0 || c.offset > file_bytes_ || c.size > file_bytes_ - c.offset) {
      refuse("crop " + std::to_string(row) + " lies outside the file (byte " +
             std::to_string(c.offset) + ")");
    }
    by_offset.push_back(row);
  }
  const auto offset = [this](std::int64_t row) { return reader_.chunk(row).offset; };
  const auto end = [&](std::int64_t row) { return offset(row) + reader_.chunk(row).size; };
  std::sort(by_offset.begin(), by_offset.end(), [&](std::int64_t a, std::int64_t b) {
    return std::pair(offset(a), a) < std::pair(offset(b), b);
  });
  const auto text = [&](std::int64_t row) {
    return std::to_string(row) + " (bytes " + std::to_string(offset(row)) + " to " +
           std::to_string(end(row)) + ")";
  };
  for (std::size_t i = 1; i < by_offset.size(); ++i) {
    const std::int64_t before = by_offset[i - 1], row = by_offset[i];
    if (offset(row) < end(before))
      refuse("crops " + text(before) + " and " + text(row) + " overlap in the file");
  }
}

void ShardOpener::check_pairs() {
  for (std::size_t i = 0; i < reader_.pairs_.size(); ++i) {
    const PairRecord& p = reader_.pairs_[i];
    if (p.query >= reader_.chunks_.size() || p.key >= reader_.chunks_.size() || p.query == p.key ||
        !std::isfinite(p.score)) {
      refuse("row " + std::to_string(i) + " of pair_table is out of bounds");
    }
  }
}

std::vector<CropRecord> ShardOpener::crop_table(const ShardReader& reader,
                                                std::uint64_t file_bytes) {
  const auto lock = h5::lock();
  const h5::Handle file = open_file(reader.file());
  const auto refuse = [&](const std::string& what) { refuse_file(reader.file(), what); };
  const Table table{file, file_bytes, refuse};
  auto crops = table.read<CropRecord>("crop_table", h5::crop_type(), kMaxCropsPerShard);
  if (static_cast<std::int64_t>(crops.size()) != reader.crops())
    refuse("crop_table and crops differ in length");
  if (table.crop_table_hash() != h5::read_string(file, "crop_table_xxh3", reader.file()))
    refuse("crop_table differs from its checksum");
  const auto finite = [](double v) { return std::isfinite(v); };
  for (std::size_t i = 0; i < crops.size(); ++i) {
    const CropRecord& c = crops[i];
    const bool good = c.study < reader.studies().size() && std::isfinite(c.outside_share) &&
                      std::all_of(c.spacing_mm.begin(), c.spacing_mm.end(),
                                  [](double s) { return s > 0 && std::isfinite(s); }) &&
                      std::all_of(c.direction.begin(), c.direction.end(), finite) &&
                      std::all_of(c.centre_lps_mm.begin(), c.centre_lps_mm.end(), finite);
    if (!good) refuse("row " + std::to_string(i) + " of crop_table is out of bounds");
  }
  return crops;
}

std::vector<CropRecord> ShardReader::read_crop_table() const {
  return ShardOpener::crop_table(*this, std::filesystem::file_size(file_));
}

}  // namespace homolog::store

// HDF5 with chunks that are compressed here and written whole (H5Dwrite_chunk).
// The filter is declared, never run: other readers find the registered id 32001.
#include "sharding/store/shard_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>

#include "base/atomic_file.h"
#include "base/hash.h"
#include "sharding/store/codec.h"
#include "sharding/store/table.h"

namespace homolog::store {
namespace {

h5::Handle create_crops(hid_t file, const ShardHeader& header) {
  const hsize_t d = static_cast<hsize_t>(header.crop.z), h = static_cast<hsize_t>(header.crop.y),
                w = static_cast<hsize_t>(header.crop.x);
  const hsize_t dims[4] = {0, d, h, w}, most[4] = {H5S_UNLIMITED, d, h, w}, chunk[4] = {1, d, h, w};
  const h5::Handle space(H5Screate_simple(4, dims, most), H5Sclose);
  const h5::Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const auto parameters = blosc_parameters(header);
  H5Pset_chunk(plist, 4, chunk);
  H5Pset_obj_track_times(plist, false);  // the same content gives the same bytes
  H5Pset_filter(plist, kBloscFilter, H5Z_FLAG_OPTIONAL, parameters.size(), parameters.data());
  const hid_t type = h5::voxel_type(header.encoding);
  return {H5Dcreate2(file, "crops", type, space, H5P_DEFAULT, plist, H5P_DEFAULT), H5Dclose};
}

bool write_table(hid_t file, const char* name, hid_t type, const void* rows, std::size_t count) {
  const hsize_t n = count;
  const h5::Handle space(H5Screate_simple(1, &n, nullptr), H5Sclose);
  const h5::Handle disk_type = h5::packed(type);
  const h5::Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(plist, false);
  const h5::Handle set(H5Dcreate2(file, name, disk_type, space, H5P_DEFAULT, plist, H5P_DEFAULT),
                       H5Dclose);
  return set.valid() &&
         (count == 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0);
}

}  // namespace

struct ShardWriter::State {
  std::filesystem::path path;
  ShardHeader header;
  std::vector<StudyRecord> studies;
  PendingPath pending;
  h5::Handle file, crops;
  int reserve_fd = -1;
  std::uint64_t written = 0;
  std::vector<CropRecord> crop_rows;
  std::vector<ChunkRecord> chunk_rows;
  std::vector<PairRecord> pair_rows;
  std::vector<std::byte> stored, packed;

  State(std::filesystem::path p, ShardHeader h, std::vector<StudyRecord> s)
      : path(std::move(p)), header(std::move(h)), studies(std::move(s)), pending(path) {}
  ~State() {
    crops.close();
    file.close();
    if (reserve_fd >= 0) ::close(reserve_fd);
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(
        Fault::Environment, "cannot write " + path.string() + ": " + reason,
        "free space there or choose another --out, then run again: finished shards are kept");
  }
  void reserve(std::uint64_t more) const {
    const off_t size = static_cast<off_t>(written + more + kRoomBehindCrops);
    if (::fallocate(reserve_fd, FALLOC_FL_KEEP_SIZE, 0, size) == 0) return;
    if (errno != EOPNOTSUPP && errno != ENOSYS) fail(std::strerror(errno));
  }
  void create();
  void find_chunks();
};

void ShardWriter::State::create() {
  h5::be_quiet();
  // Room for all names, so that no outgrown copy of them is left behind in the file.
  const h5::Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_local_heap_size_hint(creation, 176);
  file = {H5Fcreate(pending.temporary().c_str(), H5F_ACC_TRUNC, creation, H5P_DEFAULT), H5Fclose};
  if (!file.valid()) fail(h5::last_message());
  reserve_fd = ::open(pending.temporary().c_str(), O_WRONLY | O_CLOEXEC);
  if (reserve_fd < 0) fail(std::strerror(errno));
  reserve(0);
  h5::write_attribute(file, "format", std::string(kShardFormat));
  h5::write_attribute(file, "version", kFormatVersion);
  h5::write_attribute(file, "axes", std::string(kAxes));
  h5::write_attribute(file, "encoding", std::string(encoding_name(header.encoding)));
  h5::write_attribute(file, "window_low_hu", header.window_low_hu);
  h5::write_attribute(file, "window_high_hu", header.window_high_hu);
  h5::write_attribute(file, "margin", header.margin);
  h5::write_attribute(file, "split", header.split);
  h5::write_attribute(file, "sam_hash", header.sam_hash);
  h5::write_attribute(file, "plan_hash", header.plan_hash);
  for (const char* later : {"tables_xxh3", "crop_table_xxh3"})
    h5::write_attribute(file, later, hex64(0));
  crops = create_crops(file, header);
  if (!crops.valid()) fail(h5::last_message());
}

// Where HDF5 has put the crops.
void ShardWriter::State::find_chunks() {
  for (std::size_t row = 0; row < chunk_rows.size(); ++row) {
    const hsize_t at[4] = {row, 0, 0, 0};
    unsigned mask = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    if (H5Dget_chunk_info_by_coord(crops, at, &mask, &address, &size) < 0 ||
        address == HADDR_UNDEF || size != chunk_rows[row].size) {
      fail(h5::last_message());
    }
    chunk_rows[row].offset = address;
  }
}

ShardWriter::ShardWriter(std::filesystem::path file, ShardHeader header,
                         std::vector<StudyRecord> studies) {
  validate(header);
  for (std::size_t i = 0; i < studies.size(); ++i) {
    if (is_hex_id(studies[i].name())) continue;
    throw Error(Fault::Usage,
                "study " + std::to_string(i) + " of " + file.filename().string() +
                    " has an id that is not a pseudonym (16 hex digits)",
                "take ids from a catalogue written by homolog catalog");
  }
  state_ = std::make_unique<State>(std::move(file), std::move(header), std::move(studies));
  state_->create();
}
ShardWriter::~ShardWriter() = default;

std::uint32_t ShardWriter::add_crop(const CropRecord& record, std::span<const std::int16_t> hu) {
  State& s = *state_;
  if (static_cast<std::int64_t>(hu.size()) != s.header.voxels() ||
      record.study >= s.studies.size()) {
    throw Error(Fault::Usage, "a crop of " + std::to_string(hu.size()) + " voxels of study row " +
                                  std::to_string(record.study) +
                                  " does not fit the shard's header");
  }
  if (crops() >= kMaxCropsPerShard) {
    throw Error(Fault::Usage,
                s.path.filename().string() + " would hold more than " +
                    std::to_string(kMaxCropsPerShard) + " crops",
                "lower --landmarks-per-study or --studies-per-landmark");
  }
  s.stored.resize(static_cast<std::size_t>(s.header.bytes()));
  encode(s.header, hu, s.stored);
  compress(s.header, s.stored, s.packed);
  s.reserve(s.packed.size());
  const hsize_t row = s.crop_rows.size();
  const hsize_t dims[4] = {row + 1, static_cast<hsize_t>(s.header.crop.z),
                           static_cast<hsize_t>(s.header.crop.y),
                           static_cast<hsize_t>(s.header.crop.x)};
  const hsize_t at[4] = {row, 0, 0, 0};
  if (H5Dset_extent(s.crops, dims) < 0 ||
      H5Dwrite_chunk(s.crops, H5P_DEFAULT, 0, at, s.packed.size(), s.packed.data()) < 0) {
    s.fail(h5::last_message());
  }
  s.written += s.packed.size();
  s.crop_rows.push_back(record);
  s.chunk_rows.push_back({.offset = 0,
                          .checksum = xxh3_64(s.stored),
                          .size = static_cast<std::uint32_t>(s.packed.size())});
  return static_cast<std::uint32_t>(row);
}

void ShardWriter::add_pair(const PairRecord& pair) {
  State& s = *state_;
  const auto n = s.crop_rows.size();
  if (pair.query >= n || pair.key >= n || pair.query == pair.key || !std::isfinite(pair.score) ||
      s.crop_rows[pair.query].study == s.crop_rows[pair.key].study) {
    throw Error(Fault::Usage, "pair (" + std::to_string(pair.query) + ", " +
                                  std::to_string(pair.key) +
                                  ") does not name crops of two studies");
  }
  if (pairs() >= kMaxPairsPerShard) throw Error(Fault::Usage, "more pairs than a shard may hold");
  s.pair_rows.push_back(pair);
}

std::int64_t ShardWriter::crops() const noexcept {
  return static_cast<std::int64_t>(state_->crop_rows.size());
}
std::int64_t ShardWriter::pairs() const noexcept {
  return static_cast<std::int64_t>(state_->pair_rows.size());
}

ShardSummary ShardWriter::seal() {
  State& s = *state_;
  s.reserve(s.crop_rows.size() * (CropRecord::kRowBytes + ChunkRecord::kRowBytes) +
            s.pair_rows.size() * PairRecord::kRowBytes);
  s.find_chunks();
  if (!write_table(s.file, "crop_table", h5::crop_type(), s.crop_rows.data(), s.crop_rows.size()) ||
      !write_table(s.file, "pair_table", h5::pair_type(), s.pair_rows.data(), s.pair_rows.size()) ||
      !write_table(s.file, "chunk_table", h5::chunk_type(), s.chunk_rows.data(),
                   s.chunk_rows.size()) ||
      !write_table(s.file, "study_table", h5::study_type(), s.studies.data(), s.studies.size())) {
    s.fail(h5::last_message());
  }
  const Table table{s.file, 0, [&s](const std::string& what) { s.fail(what); }};
  h5::rewrite_attribute(s.file, "tables_xxh3", table.tables_hash());
  h5::rewrite_attribute(s.file, "crop_table_xxh3", table.crop_table_hash());
  if (!s.crops.close() || !s.file.close()) s.fail(h5::last_message());
  // What was reserved beyond the end goes back to the disk.
  struct stat info {};
  if (::fstat(s.reserve_fd, &info) != 0 || ::ftruncate(s.reserve_fd, info.st_size) != 0)
    s.fail(std::strerror(errno));
  ShardSummary summary{s.path.filename().string(),
                       s.header.split,
                       pairs(),
                       crops(),
                       static_cast<std::uint64_t>(info.st_size),
                       xxh3_64_file(s.pending.temporary())};
  s.pending.publish();
  return summary;
}

}  // namespace homolog::store

// Compound types and attributes in terms of the HDF5 C API.
// Strings are fixed-length: no heap, nothing that grows.
#include "sharding/store/h5.h"

#include <cstddef>

namespace homolog::store::h5 {
namespace {

Handle array_of(hid_t base, hsize_t n) { return {H5Tarray_create2(base, 1, &n), H5Tclose}; }

[[noreturn]] void bad_attribute(const char* name, const std::filesystem::path& file) {
  throw Error(Fault::Data,
              file.string() + ": attribute '" + name + "' is missing or of another type",
              "this is not a shard written by homolog; write the store again with homolog shard");
}

}  // namespace

std::unique_lock<std::mutex> lock() {
  static std::mutex mutex;
  return std::unique_lock(mutex);
}

void be_quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

std::string last_message() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* e, void* out) -> herr_t {
        if (n == 0 && e->desc) *static_cast<std::string*>(out) = e->desc;
        return 0;
      },
      &text);
  return text;
}

Handle study_type() {
  Handle type(H5Tcreate(H5T_COMPOUND, sizeof(StudyRecord)), H5Tclose);
  const Handle three = array_of(H5T_NATIVE_INT32, 3), id = fixed_string(16);
  H5Tinsert(type, "id", offsetof(StudyRecord, id), id);
  H5Tinsert(type, "grid_xyz", offsetof(StudyRecord, grid), three);
  H5Tinsert(type, "body_first_xyz", offsetof(StudyRecord, body_first), three);
  H5Tinsert(type, "body_last_xyz", offsetof(StudyRecord, body_last), three);
  return type;
}

Handle chunk_type() {
  Handle type(H5Tcreate(H5T_COMPOUND, sizeof(ChunkRecord)), H5Tclose);
  H5Tinsert(type, "offset", offsetof(ChunkRecord, offset), H5T_NATIVE_UINT64);
  H5Tinsert(type, "size", offsetof(ChunkRecord, size), H5T_NATIVE_UINT32);
  H5Tinsert(type, "xxh3", offsetof(ChunkRecord, checksum), H5T_NATIVE_UINT64);
  return type;
}

hid_t voxel_type(Encoding encoding) {
  return encoding == Encoding::ClippedU16  ? H5T_STD_U16LE
         : encoding == Encoding::SteppedU8 ? H5T_STD_U8LE
                                           : H5T_STD_I16LE;
}

Handle crop_type() {
  Handle type(H5Tcreate(H5T_COMPOUND, sizeof(CropRecord)), H5Tclose);
  const Handle three_ints = array_of(H5T_NATIVE_INT32, 3), three = array_of(H5T_NATIVE_DOUBLE, 3),
               nine = array_of(H5T_NATIVE_DOUBLE, 9);
  H5Tinsert(type, "study", offsetof(CropRecord, study), H5T_NATIVE_UINT32);
  H5Tinsert(type, "voxel_xyz", offsetof(CropRecord, voxel), three_ints);
  H5Tinsert(type, "centre_lps_mm", offsetof(CropRecord, centre_lps_mm), three);
  H5Tinsert(type, "spacing_mm", offsetof(CropRecord, spacing_mm), three);
  H5Tinsert(type, "direction", offsetof(CropRecord, direction), nine);
  H5Tinsert(type, "outside_share", offsetof(CropRecord, outside_share), H5T_NATIVE_FLOAT);
  return type;
}

Handle pair_type() {
  Handle type(H5Tcreate(H5T_COMPOUND, sizeof(PairRecord)), H5Tclose);
  H5Tinsert(type, "query", offsetof(PairRecord, query), H5T_NATIVE_UINT32);
  H5Tinsert(type, "key", offsetof(PairRecord, key), H5T_NATIVE_UINT32);
  H5Tinsert(type, "score", offsetof(PairRecord, score), H5T_NATIVE_FLOAT);
  return type;
}

Handle type_on_disk(const std::string& name, const std::string& encoding) {
  if (name == "crops") return packed(voxel_type(encoding_named(encoding)));
  if (name == "chunk_table") return packed(chunk_type());
  if (name == "crop_table") return packed(crop_type());
  return packed(name == "pair_table" ? pair_type() : study_type());
}

Handle packed(hid_t type) {
  Handle copy(H5Tcopy(type), H5Tclose);
  H5Tpack(copy);
  return copy;
}

Handle fixed_string(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, size);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  return type;
}

void write_attribute(hid_t at, const char* name, int value) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate2(at, name, H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  if (!attribute.valid() || H5Awrite(attribute, H5T_NATIVE_INT, &value) < 0) {
    throw Error(Fault::Environment,
                std::string("cannot write attribute ") + name + ": " + last_message());
  }
}

void write_attribute(hid_t at, const char* name, const std::string& value) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle type = fixed_string(value.size());
  const Handle attribute(H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!attribute.valid() || H5Awrite(attribute, type, value.data()) < 0) {
    throw Error(Fault::Environment,
                std::string("cannot write attribute ") + name + ": " + last_message());
  }
}

void rewrite_attribute(hid_t at, const char* name, const std::string& value) {
  const Handle attribute(H5Aopen(at, name, H5P_DEFAULT), H5Aclose);
  if (!attribute.valid() || H5Awrite(attribute, fixed_string(value.size()), value.data()) < 0) {
    throw Error(Fault::Environment,
                std::string("cannot write attribute ") + name + ": " + last_message());
  }
}

int read_int(hid_t at, const char* name, const std::filesystem::path& file) {
  const Handle attribute(H5Aopen(at, name, H5P_DEFAULT), H5Aclose);
  if (!attribute.valid()) bad_attribute(name, file);
  const Handle type(H5Aget_type(attribute), H5Tclose), space(H5Aget_space(attribute), H5Sclose);
  int value = 0;
  if (H5Tget_class(type) != H5T_INTEGER || H5Sget_simple_extent_npoints(space) != 1 ||
      H5Aread(attribute, H5T_NATIVE_INT, &value) < 0) {
    bad_attribute(name, file);
  }
  return value;
}

std::string read_string(hid_t at, const char* name, const std::filesystem::path& file) {
  const Handle attribute(H5Aopen(at, name, H5P_DEFAULT), H5Aclose);
  if (!attribute.valid()) bad_attribute(name, file);
  const Handle type(H5Aget_type(attribute), H5Tclose), space(H5Aget_space(attribute), H5Sclose);
  const std::size_t size = H5Tget_size(type);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0 || size == 0 || size > 64 ||
      H5Sget_simple_extent_npoints(space) != 1) {
    bad_attribute(name, file);
  }
  std::string value(size, '\0');
  const Handle memory = fixed_string(size);
  if (H5Aread(attribute, memory, value.data()) < 0) bad_attribute(name, file);
  return value.substr(0, value.find('\0'));
}

}  // namespace homolog::store::h5

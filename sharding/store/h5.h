// HDF5 handles that close themselves, and the store's table types.
// For the .cpp files of this folder alone: no other header shows HDF5.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <mutex>
#include <string>
#include <utility>

#include "base/error.h"
#include "sharding/store/shard_format.h"

namespace homolog::store::h5 {

class Handle {
 public:
  using Closer = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Closer closer) : id_(id), closer_(closer) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), closer_(other.closer_) {}
  Handle& operator=(Handle&& other) noexcept {
    close();
    id_ = std::exchange(other.id_, -1);
    closer_ = other.closer_;
    return *this;
  }
  ~Handle() { close(); }
  operator hid_t() const noexcept { return id_; }
  bool valid() const noexcept { return id_ >= 0; }
  bool close() noexcept { return id_ < 0 || closer_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
  Closer closer_ = nullptr;
};

// Held while HDF5 is called in a program that reads in threads: it need not be built for them.
std::unique_lock<std::mutex> lock();
// HDF5 prints its error stack by itself; libraries of ours do not print. Per thread.
void be_quiet();
// The innermost message of HDF5's error stack, "" when none.
std::string last_message();

// Of the tables' rows in memory.
Handle study_type();
Handle chunk_type();
Handle crop_type();
Handle pair_type();
hid_t voxel_type(Encoding encoding);  // on disk
// Of the dataset `name` of a shard, as it is on disk. Throws Fault::Data for an unknown encoding.
Handle type_on_disk(const std::string& name, const std::string& encoding);
Handle packed(hid_t type);
Handle fixed_string(std::size_t size);

void write_attribute(hid_t at, const char* name, int value);
void write_attribute(hid_t at, const char* name, const std::string& value);
// Of one that is there, with as many characters.
void rewrite_attribute(hid_t at, const char* name, const std::string& value);
// Throw Fault::Data naming the file and the attribute: missing, other type, longer than 64.
int read_int(hid_t at, const char* name, const std::filesystem::path& file);
std::string read_string(hid_t at, const char* name, const std::filesystem::path& file);

}  // namespace homolog::store::h5

// Any bytes as a shard: opening, tables, HDF5's index and every crop end in a value or in an Error.
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "sharding/store/file_structure.h"
#include "sharding/store/shard_reader.h"

namespace {

using namespace homolog;

void read_everything(const std::filesystem::path& file, int descriptor, std::size_t size) {
  const store::ShardReader shard(file);
  (void)shard.read_crop_table();
  const store::FileBytes bytes(file, descriptor, size);
  store::FileStructure structure = store::walk_structure(bytes);
  (void)store::stray_bytes(bytes, structure.used);
  (void)store::walk_chunk_index(bytes, structure);
  std::vector<std::uint16_t> window(static_cast<std::size_t>(shard.header().voxels()));
  store::ShardReader::Scratch scratch;
  for (std::int64_t row = 0; row < shard.crops(); ++row) {
    try {
      shard.read_window(row, window, scratch);
    } catch (const Error&) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int descriptor = ::memfd_create("shard", MFD_CLOEXEC);
  if (::write(descriptor, data, size) == static_cast<ssize_t>(size)) {
    try {
      read_everything("/proc/self/fd/" + std::to_string(descriptor), descriptor, size);
    } catch (const Error&) {
    }
  }
  ::close(descriptor);
  return 0;
}

#include "sharding/store/verify_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "base/error.h"
#include "sharding/store/file_structure.h"

namespace homolog::store {
namespace {

void compare_index(const ShardToVerify& job, const std::vector<IndexedChunk>& index) {
  if (static_cast<std::int64_t>(index.size()) != job.shard.crops()) {
    return job.add(-1, "HDF5's index holds " + std::to_string(index.size()) +
                           " crops, chunk_table " + std::to_string(job.shard.crops()));
  }
  for (const IndexedChunk& chunk : index) {
    const auto row = static_cast<std::int64_t>(chunk.row);
    const ChunkRecord& said = job.shard.chunk(row);
    if (chunk.place.offset != said.offset || chunk.place.size != said.size)
      job.add(row, "HDF5's index has it at byte " + std::to_string(chunk.place.offset) +
                       " or of another size");
  }
}

}  // namespace

void verify_file(const ShardToVerify& job) {
  const int descriptor = ::open(job.shard.file().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const std::unique_ptr<const int, void (*)(const int*)> closer(&descriptor,
                                                                [](const int* d) { ::close(*d); });
  const FileBytes bytes(job.shard.file(), descriptor, std::filesystem::file_size(job.shard.file()));
  try {
    FileStructure structure = walk_structure(bytes);
    const auto index = walk_chunk_index(bytes, structure);
    compare_index(job, index);
    for (const IndexedChunk& chunk : index) structure.used.push_back(chunk.place);
    if (const auto twice = first_overlap(structure.used))
      job.add(-1, "two structures share byte " + std::to_string(*twice));
    for (const std::uint64_t byte : stray_bytes(bytes, structure.used))
      job.add(-1, "bytes that belong to nothing and are not 0, from byte " + std::to_string(byte));
  } catch (const Error& e) {
    job.add(-1, e.summary());
  }
}

}  // namespace homolog::store

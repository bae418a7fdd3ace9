// pread, Blosc, xxh3: the hot path of the data pipeline.
// One descriptor a shard, shared by all threads, because pread keeps no position.
#include "sharding/store/shard_reader.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/open_files.h"
#include "sharding/store/codec.h"
#include "sharding/store/shard_opener.h"

namespace homolog::store {

ShardReader::ShardReader(const std::filesystem::path& file, Role role) : file_(file), role_(role) {
  const auto refuse = [&](const std::string& what) {
    throw Error(Fault::Data, file.string() + ": " + what,
                "copy this shard again or write it again with homolog shard");
  };
  // A pipe does not hold us, and a link, which may point anywhere by tomorrow, is none of a
  // store's.
  descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (descriptor_ < 0 && is_open_file_limit(errno))
    throw Error(Fault::Environment, file.string() + ": " + std::strerror(errno), kOpenFileRemedy);
  if (descriptor_ < 0 && errno == ELOOP)
    throw Error(Fault::Data, file.string() + ": a symbolic link, not a file of the store",
                "put the file itself in its place, or link the whole folder of the store");
  if (descriptor_ < 0 && errno == EACCES && role == Role::Own)
    throw Error(Fault::Environment, file.string() + ": " + std::strerror(errno),
                "give this user read permission");
  if (descriptor_ < 0) refuse(std::strerror(errno));
  try {
    struct stat info {};
    if (::fstat(descriptor_, &info) != 0 || !S_ISREG(info.st_mode)) refuse("not a regular file");
    if (info.st_size == 0) refuse("an empty file");
    const auto lock = h5::lock();
    ShardOpener(*this, static_cast<std::uint64_t>(info.st_size)).open();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

ShardReader::~ShardReader() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

ShardReader::ShardReader(ShardReader&& other) noexcept
    : file_(std::move(other.file_)),
      role_(other.role_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      passes_page_cache_(other.passes_page_cache_),
      header_(std::move(other.header_)),
      studies_(std::move(other.studies_)),
      pairs_(std::move(other.pairs_)),
      chunks_(std::move(other.chunks_)) {}

std::string ShardReader::where(std::int64_t row) const {
  const char* of = role_ == Role::StagedCopy ? "staged copy of " : "";
  return of + file_.filename().string() + ", crop " + std::to_string(row) + " at byte " +
         std::to_string(chunk(row).offset);
}

void ShardReader::will_read(std::int64_t row) const noexcept {
  const ChunkRecord& at = chunks_[static_cast<std::size_t>(row)];
  ::posix_fadvise(descriptor_, static_cast<off_t>(at.offset), at.size, POSIX_FADV_WILLNEED);
}

bool ShardReader::pass_page_cache() {
  struct statfs system {};
  // tmpfs takes the flag, but its files are the page cache.
  if (::fstatfs(descriptor_, &system) == 0 && system.f_type == TMPFS_MAGIC) return false;
  PackedCrop probe;
  const std::span room = probe.make_room(0, 1);
  const int flags = ::fcntl(descriptor_, F_GETFL);
  if (::fcntl(descriptor_, F_SETFL, flags | O_DIRECT) != 0) return false;
  // Some file systems take the flag and refuse the reads.
  passes_page_cache_ = read_some(room, 0, 0) > 0;
  if (!passes_page_cache_) ::fcntl(descriptor_, F_SETFL, flags);
  return passes_page_cache_;
}

bool ShardReader::read_packed(std::int64_t row, PackedCrop& packed) const {
  const ChunkRecord& at = chunk(row);
  const std::span around = packed.make_room(at.offset, at.size);
  if (!passes_page_cache_)
    return read_cached(row, around.subspan(at.offset % PackedCrop::kAlignment, at.size));
  read_direct(row, around);
  return true;
}

ssize_t ShardReader::read_some(std::span<std::byte> to, std::uint64_t offset, int flags) const {
  const iovec part{to.data(), to.size()};
  while (true) {
    const ssize_t n = ::preadv2(descriptor_, &part, 1, static_cast<off_t>(offset), flags);
    if (n >= 0 || errno != EINTR) return n;
  }
}

// What is in the page cache comes first (RWF_NOWAIT); the rest is waited for.
bool ShardReader::read_cached(std::int64_t row, std::span<std::byte> packed) const {
  const std::uint64_t offset = chunk(row).offset;
  int flags = RWF_NOWAIT;
  for (std::uint64_t done = 0; done < packed.size();) {
    const ssize_t n = read_some(packed.subspan(done), offset + done, flags);
    if (n <= 0 && flags != 0) {  // not cached, or no such read on this file system
      flags = 0;
      continue;
    }
    if (n < 0) cannot_read(row, errno);
    if (n == 0) ends_within(row);
    done += static_cast<std::uint64_t>(n);
  }
  return flags == 0;
}

// Whole aligned pieces: only the file's end makes one shorter.
void ShardReader::read_direct(std::int64_t row, std::span<std::byte> around) const {
  const ChunkRecord& at = chunk(row);
  const std::uint64_t before = at.offset % PackedCrop::kAlignment, begin = at.offset - before;
  for (std::uint64_t done = 0; done < before + at.size;) {
    const ssize_t n = read_some(around.subspan(done), begin + done, 0);
    if (n < 0) cannot_read(row, errno);
    done += static_cast<std::uint64_t>(n);
    const bool ended = n == 0 || done % PackedCrop::kAlignment != 0;
    if (ended && done < before + at.size) ends_within(row);
  }
}

void ShardReader::cannot_read(std::int64_t row, int code) const {
  throw Error(Fault::Environment, where(row) + ": " + std::strerror(code),
              "check the disk or network");
}

void ShardReader::ends_within(std::int64_t row) const {
  throw Error(Fault::Data, where(row) + ": the file ends within it", "copy this shard again");
}

void ShardReader::unpack_stored(std::int64_t row, const PackedCrop& packed,
                                std::span<std::byte> out) const {
  const auto checksum = decompress_and_hash(packed.bytes(), out);
  if (!checksum)
    throw Error(Fault::Data, where(row) + ": cannot be decompressed", "copy this shard again");
  if (*checksum != chunk(row).checksum)
    throw Error(Fault::Data, where(row) + ": checksum differs", "copy this shard again");
}

bool ShardReader::read_stored(std::int64_t row, std::span<std::byte> out,
                              PackedCrop& packed) const {
  const bool waited = read_packed(row, packed);
  unpack_stored(row, packed, out);
  return waited;
}

bool ShardReader::read_window(std::int64_t row, std::span<std::uint16_t> out,
                              Scratch& scratch) const {
  const bool waited = read_packed(row, scratch.packed);
  unpack_window(row, scratch.packed, out, scratch.stored);
  return waited;
}

void ShardReader::unpack_window(std::int64_t row, const PackedCrop& packed,
                                std::span<std::uint16_t> out,
                                std::vector<std::byte>& stored) const {
  if (header_.encoding == Encoding::SteppedU8) {
    stored.resize(static_cast<std::size_t>(header_.bytes()));
    unpack_stored(row, packed, stored);
    to_window(header_, stored, out);
  } else {
    const std::span own = std::as_writable_bytes(out);
    unpack_stored(row, packed, own);
    to_window(header_, own, out);
  }
  // Usually the second voxel tells.
  if (std::adjacent_find(out.begin(), out.end(), std::not_equal_to<>()) == out.end()) {
    throw Error(Fault::Data, where(row) + ": a constant crop, from which nothing can be learnt",
                "write the store again with homolog shard");
  }
}

}  // namespace homolog::store

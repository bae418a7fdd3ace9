// The shards' files and the disk under them, past the page cache.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace homolog::store {

// Tells the kernel to forget the files' pages. Returns the share of them (0..1) that stay in memory
// nevertheless: 1 where the files live there, as in /dev/shm.
double drop_from_cache(const std::vector<std::filesystem::path>& files);

struct DiskRate {
  std::uint64_t bytes = 0;
  double seconds = 0;
  bool direct = false;  // by O_DIRECT; else through the page cache
  double per_second() const { return static_cast<double>(bytes) / seconds; }
};
// Reads the files from end to end, 8 MiB at a time, for at most `seconds`. Throws
// Fault::Environment, Fault::Stopped.
DiskRate read_through(const std::vector<std::filesystem::path>& files, double seconds);

}  // namespace homolog::store

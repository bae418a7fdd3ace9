#include "base/host_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace homolog {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

// "max", an absent file and no number: no limit.
std::uint64_t limit_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t bytes = 0;
  return in >> bytes ? bytes : kNone;
}

// Of `group` and of all around it.
std::uint64_t smallest_limit(const fs::path& root, fs::path group, const char* file) {
  std::uint64_t bytes = limit_in(root / file);
  for (; group.has_relative_path(); group = group.parent_path())
    bytes = std::min(bytes, limit_in(root / group.relative_path() / file));
  return bytes;
}

}  // namespace

std::uint64_t memory_limit(const fs::path& proc, const fs::path& groups) {
  std::uint64_t bytes = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                        static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::ifstream in(proc / "cgroup");
  // Lines "ID:CONTROLLERS:PATH"; version 2 has no controllers there.
  for (std::string line; std::getline(in, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path group = line.substr(second + 1);
    if (controllers == ",,") {
      bytes = std::min(bytes, smallest_limit(groups, group, "memory.max"));
    } else if (controllers.find(",memory,") != std::string::npos) {
      bytes = std::min(bytes, smallest_limit(groups / "memory", group, "memory.limit_in_bytes"));
    }
  }
  return bytes;
}

}  // namespace homolog

// How much memory the processes of this job may use on this machine.
#pragma once

#include <cstdint>
#include <filesystem>

namespace homolog {

// Bytes: the machine's memory, or the smallest limit of the control groups (v1 and v2) around this
// process, as SLURM and containers set them. The page cache counts towards them.
std::uint64_t memory_limit(const std::filesystem::path& proc = "/proc/self",
                           const std::filesystem::path& groups = "/sys/fs/cgroup");

}  // namespace homolog

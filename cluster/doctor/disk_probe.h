// How fast a folder's disk writes and reads. What is written has no name from the start (O_TMPFILE,
// or unlinked at once), so nothing stays behind, by whatever signal the process ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "cluster/doctor/rank_facts.h"

namespace homolog::doctor {

// Asked between pieces of a megabyte; throws to stop.
using MayGoOn = std::function<void()>;

// Writes `bytes` and fsyncs, drops them from the page cache, reads them back and compares. Each
// way ends early, at a piece's border, after `seconds`. Numbers "write_bps", "read_bps" (bytes/s),
// "cached" (share of the bytes that the page cache still held). Throws Fault::Environment: not a
// folder, no permission, read-only, full, or other bytes come back.
Measured probe_write_and_read(const std::filesystem::path& folder, std::uint64_t bytes,
                              double seconds, const MayGoOn& may_go_on = {});

// Reads files of the folder that are there (a store's shards), at most `bytes` in all. Numbers
// "read_bps", "cached", "bytes". Without numbers: there is no such file.
Measured probe_read(const std::filesystem::path& folder, const std::string& extension,
                    std::uint64_t bytes, double seconds, const MayGoOn& may_go_on = {});

// Files with that extension (".h5") in the folder.
std::int64_t count_files(const std::filesystem::path& folder, const std::string& extension);

}  // namespace homolog::doctor

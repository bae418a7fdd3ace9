// How many files a process may hold open: a store keeps one a shard, and the usual soft limit of
// 1024 is a few thousand studies.
#pragma once

namespace homolog {

// Raises the soft limit to the hard one. For the start of programs that open stores; never fails.
void allow_many_open_files() noexcept;

// errno says that the limit (of the process or of the machine) is reached.
bool is_open_file_limit(int error_number) noexcept;
extern const char* const kOpenFileRemedy;

}  // namespace homolog

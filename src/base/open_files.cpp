#include "base/open_files.h"

#include <sys/resource.h>

#include <cerrno>

namespace homolog {

const char* const kOpenFileRemedy =
    "raise the limit of open files (ulimit -n, or LimitNOFILE of the service): a store holds one a "
    "shard";

void allow_many_open_files() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

bool is_open_file_limit(int error_number) noexcept {
  return error_number == EMFILE || error_number == ENFILE;
}

}  // namespace homolog

// Where the real and the broken scans lie; a test that needs them skips loudly where they are
// missing.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace homolog::import {

inline std::filesystem::path shared_folder() {
  const char* elsewhere = std::getenv("HOMOLOG_SHARED");
  return elsewhere != nullptr ? std::filesystem::path(elsewhere)
                              : std::filesystem::path(HOMOLOG_SOURCE_DIR) / "../shared";
}

}  // namespace homolog::import

#define HOMOLOG_NEED_SHARED(name)                                                     \
  do {                                                                                \
    if (!std::filesystem::exists(shared_folder() / (name))) {                         \
      GTEST_SKIP() << "no scans in " << (shared_folder() / (name)) << ": not tested"; \
    }                                                                                 \
  } while (false)

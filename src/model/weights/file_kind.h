// What a file is before anybody reads weights from it: no folder, pipe or device, and none of what
// often lies under the name of weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace homolog::model {

// The first `count` bytes of a regular file, fewer where it is shorter; a pipe never keeps it
// waiting. Throws Fault::Data: not there, not readable, no regular file.
std::string first_bytes(const std::filesystem::path& file, std::uint64_t count);

}  // namespace homolog::model

// What a file is before anybody reads weights from it: no folder, pipe or device, and none of what
// often lies under the name of weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace homolog::model {

// The first `count` bytes of a regular file, fewer where it is shorter; a pipe never keeps it
// waiting. Throws Fault::Data: not there, not readable, no regular file.
std::string first_bytes(const std::filesystem::path& file, std::uint64_t count);

// Throws Fault::Data where the first bytes are a web page's or a Git LFS pointer's, saying so.
void refuse_other_kinds(const std::filesystem::path& file, std::string_view first);

}  // namespace homolog::model

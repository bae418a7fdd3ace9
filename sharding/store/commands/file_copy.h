// One file copied beside its final name, hashed on the way, and published by rename.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

namespace homolog::store {

using BytesDone = std::function<void(std::uint64_t)>;

// The xxh3-64 of the file's bytes. Throws Fault::Environment when it cannot be read,
// Fault::Stopped.
std::uint64_t hash_of_file(const std::filesystem::path& file, const BytesDone& advanced);

// Throws Fault::Data, and leaves no copy, when the bytes do not hash to `xxh3`; Fault::Environment:
// cannot be read or written; Fault::Stopped.
void copy_checked(const std::filesystem::path& from, const std::filesystem::path& to,
                  std::uint64_t xxh3, const BytesDone& advanced);

}  // namespace homolog::store

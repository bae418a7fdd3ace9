// Bytes as people write them.
#pragma once

#include <cstdint>
#include <string>

namespace homolog {

std::string human_bytes(std::uint64_t bytes);  // "512 B", "3.2 MiB", "1.40 TiB"

// "200GiB", "1.5 TiB", "500MB" (powers of 1000), "200G" (as GiB), "4096", "0". Throws
// Fault::Usage naming `key`.
std::uint64_t bytes_of(const std::string& key, const std::string& text);

}  // namespace homolog

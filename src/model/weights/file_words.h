// Words and numbers that stand in a file from elsewhere, before anything here believes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace homolog::model {

// Fit to be shown and to be written as JSON: "?" for control characters and for bytes that are no
// UTF-8, cut after 200 bytes.
std::string printable(std::string_view words);
bool is_name(std::string_view words);  // printable as it is, and not empty

// Elements of a tensor's shape; nothing where it is no shape of a tensor here: more than 8 axes, a
// negative side, sides that multiply to more than 2^40 (empty ones aside).
std::optional<std::uint64_t> elements_of(const std::vector<std::int64_t>& shape);

}  // namespace homolog::model

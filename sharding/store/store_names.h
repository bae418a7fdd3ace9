// What the files of a store are called, under their own names and while they are written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace homolog::store {

inline constexpr std::string_view kManifestName = "store.json";

std::string shard_file_name(std::int64_t number);  // "shard-00000.h5"
bool is_shard_file_name(std::string_view name) noexcept;

// Whether a build or a stage puts `name` there: a shard, or the temporary name of one.
bool is_of_a_shard(std::string_view name);
// What the folder of a store may hold: the same, and store.json or its temporary name.
bool is_of_a_store(std::string_view name);

// The finished store that `path` is, or lies in, where nothing else may be written; else empty.
std::filesystem::path store_around(const std::filesystem::path& path);

}  // namespace homolog::store

// What a build may find in the folder of its store.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

namespace homolog::shard {

// Names in STORE/building: the group that a file records ("group-12.json"), and the one that it
// claims (a temporary name of "group-12").
std::string record_name(std::size_t group);
std::string claim_name(std::size_t group);  // final name, which no file bears
std::optional<std::size_t> recorded_group(const std::string& name);
std::optional<std::size_t> claimed_group(const std::string& name);

// Remove what dead processes left under temporary names: shards and store.json; STORE/building's.
void remove_dead_files(const std::filesystem::path& store);
void remove_dead_records(const std::filesystem::path& building);

// Throws Fault::Usage, naming it, when `store` holds a file or folder that no build puts there: a
// build clears away what is left of others, and must not meet what is not its own.
void require_no_strangers(const std::filesystem::path& store);

// Removes what dead builds left: the folder of their records, and files under temporary names.
void clear_leftovers(const std::filesystem::path& store);

}  // namespace homolog::shard

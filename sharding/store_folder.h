// What a build may find in the folder of its store.
#pragma once

#include <filesystem>

namespace homolog::shard {

// Throws Fault::Usage, naming it, when `store` holds a file or folder that no build puts there: a
// build clears away what is left of others, and must not meet what is not its own.
void require_no_strangers(const std::filesystem::path& store);

// Removes what dead builds left: the folder of their records, and files under temporary names.
void clear_leftovers(const std::filesystem::path& store);

}  // namespace homolog::shard

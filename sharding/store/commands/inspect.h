// What a store is and holds, as one JSON object: for people, and for scripts.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace homolog::store {

// Header, sizes and settings; of each split its pairs, studies and a histogram of scores in tenths
// from -1 to 1. Throws Fault::Data when the folder holds no whole store.
nlohmann::ordered_json inspect(const std::filesystem::path& folder);

}  // namespace homolog::store

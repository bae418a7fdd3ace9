// What the pairs of a store are like: how well they match, what of the bodies they show, how full
// their window is. One JSON object, for people and for scripts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

namespace homolog::store {

struct StatsPlan {
  std::int64_t sample = 64;  // crops whose HU are counted, evenly spread over the store
};

// Reads every table and `sample` crops; `advanced(n)`: n shards more are done. The same store gives
// the same answer. Throws Fault::Data when the folder holds no whole store or a crop is damaged;
// Fault::Stopped.
nlohmann::ordered_json stats(const std::filesystem::path& store, const StatsPlan& plan,
                             const std::function<void(std::int64_t)>& advanced = {});

}  // namespace homolog::store

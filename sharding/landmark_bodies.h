// What homolog evaluate joins and reports: bodies of a catalogue with their true points, scores as
// JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "sharding/landmarks.h"

namespace homolog::landmarks {

// The last `last` bodies of the catalogue that the truth knows; 0: all of them. Throws Fault::Data
// when it knows fewer than two, or tells of another image than a body's.
std::vector<Body> read_bodies(const std::filesystem::path& catalog, const Truth& truth,
                              std::int64_t last);

nlohmann::json to_json(const Comparison& comparison);  // mm, shares

}  // namespace homolog::landmarks

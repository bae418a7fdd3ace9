// The document in store.json and what it stands for. For the .cpp files of this folder alone.
// Messages name entries by the format's keys: a document's own may be a patient's text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "sharding/store/store_manifest.h"

namespace homolog::store {

// Without its hash.
nlohmann::ordered_json to_json(const StoreManifest& manifest);
// Throws Fault::Data naming the entry that is missing or of another kind.
StoreManifest manifest_of(const nlohmann::ordered_json& document);
// The text under `key` of the document. Throws Fault::Data as above.
std::string text_of(const nlohmann::ordered_json& document, const char* key);
// "pairs.train is 12, not 11". REQUIRES: they differ, and `ours` is what to_json() makes of the
// document.
std::string first_difference(const nlohmann::ordered_json& document,
                             const nlohmann::ordered_json& ours);

}  // namespace homolog::store

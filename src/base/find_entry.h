// Looks an entry up by name in a generated table, for backbones and objectives alike.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/options.h"

namespace homolog {

// `key` is the option that names the entry, `kind` what an entry is called in messages.
// Throws Fault::Usage with the nearest name and all known ones.
template <class Entry>
const Entry& find_entry(const std::vector<const Entry*>& table, const std::string& name,
                        const std::string& key, const std::string& kind) {
  std::vector<std::string> names;
  std::string known;
  for (const Entry* entry : table) {
    if (name == entry->name) return *entry;
    names.emplace_back(entry->name);
    known += (known.empty() ? "" : ", ") + names.back();
  }
  const std::string nearest = nearest_word(name, names);
  throw Error(Fault::Usage, key + ": no " + kind + " is called \"" + name + "\"",
              nearest.empty() ? "choose one of: " + known
                              : "did you mean \"" + nearest + "\"? known: " + known);
}

}  // namespace homolog

// Folders and files -> catalogue entries, with a verdict for each thing that looks like a scan.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sharding/import/catalog.h"

namespace homolog::import {

struct Survey {
  std::vector<CatalogEntry> entries;  // sorted by path
  std::int64_t looked_at = 0;         // files
  std::int64_t ignored = 0;           // files that neither are nor claim to be scans
  std::int64_t count(Verdict verdict) const;
  // Reasons of refused entries, the commonest first: "12 x REASON (FILE)" of the first such file.
  // Reasons that differ in numbers only count as one.
  std::vector<std::string> commonest_refusals(std::size_t most) const;
};

// Walks `paths` (folders whole, links to folders not followed). A broken input costs its own entry,
// never the rest. `key` makes the pseudonyms. Throws Fault::Data only where a path is missing,
// Fault::Environment where memory ran out, Fault::Stopped after a signal.
Survey survey(const std::vector<std::filesystem::path>& paths, const std::string& key, int jobs);

// 16 hex digits of the keyed hash of a series' or a patient's identity.
std::string pseudonym(const std::string& key, const std::string& identity);

// A name as it can be printed on one line: control characters escaped ("\\n", "\\x1b").
std::string printable(const std::string& text);

}  // namespace homolog::import

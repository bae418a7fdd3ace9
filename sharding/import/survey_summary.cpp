// What a survey adds up to: counts by verdict, and why most inputs were refused.
#include <algorithm>
#include <cstdio>
#include <map>

#include "sharding/import/survey.h"

namespace homolog::import {

std::int64_t Survey::count(Verdict verdict) const {
  return std::count_if(entries.begin(), entries.end(),
                       [&](const CatalogEntry& e) { return e.verdict == verdict; });
}

std::vector<std::string> Survey::commonest_refusals(std::size_t most) const {
  struct Kind {
    int count = 0;
    std::string example;
  };
  std::map<std::string, Kind> kinds;  // reason with its numbers made alike
  for (const CatalogEntry& entry : entries) {
    if (entry.verdict != Verdict::Reject) continue;
    std::string kind;
    for (const char c : entry.reasons.front()) {
      const bool digit = c >= '0' && c <= '9';
      if (!digit || !kind.ends_with('#')) kind += digit ? '#' : c;
    }
    Kind& seen = kinds[kind];
    if (seen.count++ == 0)
      seen.example = entry.reasons.front() + " (" + entry.files.front().string() + ")";
  }
  std::vector<std::pair<std::string, Kind>> sorted(kinds.begin(), kinds.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second.count > b.second.count; });
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < std::min(most, sorted.size()); ++i)
    lines.push_back(std::to_string(sorted[i].second.count) + " x " + sorted[i].second.example);
  return lines;
}

std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
    out += c == '\n' ? "\\n" : byte < 0x20 || byte == 0x7f ? escaped : std::string(1, c);
  }
  return out;
}

}  // namespace homolog::import

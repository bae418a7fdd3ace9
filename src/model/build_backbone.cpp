#include "model/build_backbone.h"

#include <charconv>

#include "base/ini.h"

namespace homolog::backbone {

Built build(const Entry& entry, const Settings& options, const Size3& crop) {
  const auto factory = entry.factory();
  Options declared(entry.name, "", "");
  factory->declare(declared);
  std::vector<std::string> words = {entry.name};
  for (const auto& [key, value] : options) {
    words.emplace_back("--set");
    words.push_back(key + "=" + value);
  }
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  declared.parse(static_cast<int>(arguments.size()), arguments.data());
  return {factory->make(crop), flat_settings(declared.dump())};
}

bool parse_crop(const std::string& text, Size3& crop) {
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t a = 0; a < crop.size(); ++a) {
    const auto [next, fault] = std::from_chars(at, end, crop[a]);
    if (fault != std::errc() || crop[a] <= 0) return false;
    if (a + 1 == crop.size()) return next == end;
    if (next == end || (*next != ',' && *next != 'x')) return false;
    at = next + 1;
  }
  return false;
}

std::string crop_text(const Size3& crop) {
  return std::to_string(crop[0]) + "," + std::to_string(crop[1]) + "," + std::to_string(crop[2]);
}

}  // namespace homolog::backbone

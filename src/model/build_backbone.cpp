#include "model/build_backbone.h"

#include "base/ini.h"

namespace homolog::backbone {

std::vector<std::string> keys_of(const Entry& entry) {
  const auto factory = entry.factory();
  Options declared(entry.name, "", "");
  factory->declare(declared);
  return declared.keys();
}

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

}  // namespace homolog::backbone

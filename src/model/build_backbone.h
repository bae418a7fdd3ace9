// A backbone from its options as texts, as a file's metadata or a command line holds them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/backbone_entry.h"

namespace homolog::backbone {

using Settings = std::map<std::string, std::string>;  // "model.NAME.key" -> value

struct Built {
  std::shared_ptr<Backbone> network;
  Settings options;  // all of them, resolved
};

// Throws Fault::Usage: an unknown key, a value that is none, options or crop that do not fit.
Built build(const Entry& entry, const Settings& options, const Size3& crop);

// "96,96,64" and "96x96x64"; false: not three numbers.
bool parse_crop(const std::string& text, Size3& crop);
std::string crop_text(const Size3& crop);  // "96,96,64"

}  // namespace homolog::backbone

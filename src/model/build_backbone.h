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

std::vector<std::string> keys_of(const Entry& entry);  // of its options

// Throws Fault::Usage: an unknown key, a value that is none, options or crop that do not fit.
Built build(const Entry& entry, const Settings& options, const Size3& crop);

}  // namespace homolog::backbone

// The regular files below some paths, each once, in a fixed order. Inside sharding/import only.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace homolog::import {

struct Walked {
  std::vector<std::filesystem::path> files;  // absolute, sorted, no file twice
  std::vector<std::pair<std::filesystem::path, std::string>> unreadable;  // folder, why
};

// Folders are walked whole; links to folders are not followed, so there are no loops; pipes and
// devices are left out, because opening one may hang. Throws Fault::Data where a path is missing.
Walked walk(const std::vector<std::filesystem::path>& paths);

}  // namespace homolog::import

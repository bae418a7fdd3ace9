// The regular files below some paths, each once, in a fixed order, and what is named like a scan
// but is no file. Inside sharding/import only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace homolog::import {

struct Unreadable {
  std::filesystem::path path;
  std::string why;
  bool is_folder = false;
};

struct Walked {
  std::vector<std::filesystem::path> files;  // absolute, sorted, no file twice
  std::vector<Unreadable> unreadable;
};

// Folders are walked whole; links to folders are not followed, so there are no loops; pipes and
// devices are never opened, because that may hang. Throws Fault::Data where a path is missing,
// Fault::Stopped after a signal.
Walked walk(const std::vector<std::filesystem::path>& paths);

}  // namespace homolog::import

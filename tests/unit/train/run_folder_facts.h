// What the tests of the engine read back from a run folder.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "train/checkpoint.h"

namespace homolog::train {

namespace fs = std::filesystem;
using nlohmann::json;

inline std::vector<json> metrics(const fs::path& folder, bool validation = false) {
  std::ifstream in(folder / "metrics.jsonl");
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);) {
    json j = json::parse(line);
    if (j.contains("validation") == validation) lines.push_back(std::move(j));
  }
  return lines;
}

inline fs::path last_checkpoint(const fs::path& folder) {
  return list_checkpoints(folder / "checkpoints").back();
}

inline std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

inline Fault fault_of(const std::function<void()>& body, std::string* what = nullptr) {
  try {
    body();
  } catch (const Error& e) {
    if (what != nullptr) *what = e.what();
    return e.fault();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Fault::Stopped;
}

}  // namespace homolog::train

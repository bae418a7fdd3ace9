// The folders step-N of a run's checkpoints: one listing for whoever resumes, watches or restarts.
// Hashes are the engine's matter (train/checkpoint.h); here a folder counts as complete or not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace homolog {

struct StepFolder {
  std::filesystem::path path;
  std::int64_t step;
  bool complete;  // manifest.json, which is written last, lies inside
};
// "step-00000012" -> 12; nothing for any other name.
std::optional<std::int64_t> step_of(std::string_view folder_name);
// Oldest first; empty when there is no such folder.
std::vector<StepFolder> step_folders(const std::filesystem::path& checkpoints);

}  // namespace homolog

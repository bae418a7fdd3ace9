// What the claims of one world binary share: the communicator, which world_main.cpp connects, and
// runs in a folder that all ranks see.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/log.h"
#include "cluster/comm/communicator.h"
#include "monitoring/board/board.h"

extern homolog::comm::Communicator* world;

// One folder for all ranks, named by rank 0; removed at the end, with the boards of the runs in it.
struct SharedFolder {
  explicit SharedFolder(const std::string& name) {
    namespace fs = std::filesystem;
    const auto mine =
        fs::temp_directory_path() / ("homolog_world_" + name + "_" + std::to_string(::getpid()));
    path = world->all_gather(mine.string()).front();
    homolog::log::set_terminal_level("off");
    if (world->rank().index == 0) fs::remove_all(path);
    world->barrier();
  }
  ~SharedFolder() {
    if (world->rank().index != 0) return;
    std::error_code ignored;
    homolog::board::remove_boards(path.string(), world->rank().size);
    for (const auto& run : std::filesystem::directory_iterator(path, ignored))
      homolog::board::remove_boards(run.path().string(), world->rank().size);
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

// Lines of a run's metrics.jsonl: of its steps, or of its validations.
inline std::vector<nlohmann::json> metrics(const std::filesystem::path& run,
                                           bool validation = false) {
  std::ifstream in(run / "metrics.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);) {
    auto j = nlohmann::json::parse(line);
    if (j.contains("validation") == validation) lines.push_back(std::move(j));
  }
  return lines;
}

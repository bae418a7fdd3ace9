#include "sharding/import/file_walk.h"

#include <algorithm>

#include "base/error.h"

namespace homolog::import {
namespace fs = std::filesystem;
namespace {

void walk_folder(const fs::path& folder, Walked& walked) {
  std::error_code code;
  fs::directory_iterator entries(folder, code);
  if (code) {
    walked.unreadable.emplace_back(folder, "cannot be opened: " + code.message());
    return;
  }
  for (; !code && entries != fs::directory_iterator(); entries.increment(code)) {
    const fs::directory_entry& entry = *entries;
    std::error_code unknown;  // of this entry: then it is neither folder nor file
    if (entry.is_directory(unknown) && !entry.is_symlink(unknown)) {
      walk_folder(entry.path(), walked);
    } else if (entry.is_regular_file(unknown)) {
      walked.files.push_back(entry.path());
    }
  }
}

}  // namespace

Walked walk(const std::vector<fs::path>& paths) {
  Walked walked;
  for (const fs::path& path : paths) {
    std::error_code code;
    const fs::path absolute = fs::weakly_canonical(path, code);
    const fs::file_status status = fs::status(absolute, code);
    if (!fs::exists(status)) {
      throw Error(Fault::Data, path.string() + " does not exist",
                  "give folders or files with CT scans");
    }
    if (fs::is_directory(status)) walk_folder(absolute, walked);
    if (fs::is_regular_file(status)) walked.files.push_back(absolute);
  }
  std::sort(walked.files.begin(), walked.files.end());
  walked.files.erase(std::unique(walked.files.begin(), walked.files.end()), walked.files.end());
  return walked;
}

}  // namespace homolog::import

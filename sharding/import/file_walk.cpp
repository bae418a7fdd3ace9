#include "sharding/import/file_walk.h"

#include <algorithm>

#include "base/error.h"
#include "sharding/import/file_check.h"
#include "sharding/import/parallel_for.h"

namespace homolog::import {
namespace fs = std::filesystem;
namespace {

// What is neither folder nor file gets a line where its name promises a scan.
void note_odd(const fs::path& path, Walked& walked) {
  if (!named_like_scan(path)) return;
  std::error_code code;
  const fs::file_type type = fs::status(path, code).type();
  const bool link = fs::is_symlink(fs::symlink_status(path, code));
  const bool folder = type == fs::file_type::directory;
  const char* why = folder                                ? "a link to a folder, not followed"
                    : type == fs::file_type::not_found    ? "a link to a file that is missing"
                    : link && type == fs::file_type::none ? "a link that leads nowhere"
                                                          : "a pipe or device, not a file";
  walked.unreadable.push_back({path, why, folder});
}

void walk_folder(const fs::path& folder, Walked& walked) {
  stop_if_asked();
  std::error_code code;
  fs::directory_iterator entries(folder, code);
  if (code) {
    walked.unreadable.push_back({folder, "cannot be opened: " + code.message(), true});
    return;
  }
  for (; !code && entries != fs::directory_iterator(); entries.increment(code)) {
    const fs::directory_entry& entry = *entries;
    std::error_code unknown;  // of this entry: then it is neither folder nor file
    if (entry.is_directory(unknown) && !entry.is_symlink(unknown)) {
      walk_folder(entry.path(), walked);
      if (named_like_volume(entry.path()))
        walked.unreadable.push_back({entry.path(), "is a folder, not a file; looked into", true});
    } else if (entry.is_regular_file(unknown)) {
      walked.files.push_back(entry.path());
    } else {
      note_odd(entry.path(), walked);
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
    if (!fs::is_directory(status) && !fs::is_regular_file(status)) note_odd(absolute, walked);
  }
  std::sort(walked.files.begin(), walked.files.end());
  walked.files.erase(std::unique(walked.files.begin(), walked.files.end()), walked.files.end());
  return walked;
}

}  // namespace homolog::import

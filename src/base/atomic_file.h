// Files and folders that appear under their final name only when complete:
// temporary name beside it, fsync, rename, fsync of the parent.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace homolog {

// Write `text` to `file` atomically. Throws Fault::Environment (disk full, no permission).
void write_file_atomically(const std::filesystem::path& file, std::string_view text);

// A temporary name beside `final_name` (same file system, so that rename is atomic). Nothing lies
// under it, and no other process draws the same.
std::filesystem::path temporary_beside(const std::filesystem::path& final_name);
// The way back, of names without a folder: "a.h5" of what temporary_beside("a.h5") gave. Nothing:
// `name` is no temporary name.
std::optional<std::string> final_name_of(std::string_view name);

// Before long work, not after it: throws Fault::Environment, naming `option`, when `file` is a
// folder or lies in none that can be written. `example` is a name that would do.
void require_writable(const std::string& option, const std::filesystem::path& file,
                      const std::string& example);

// fsync a file or folder, by path. Throws Fault::Environment.
void fsync_path(const std::filesystem::path& path);

// A path under construction. publish() makes it appear; without it the destructor removes it.
class PendingPath {
 public:
  explicit PendingPath(std::filesystem::path final_name);
  ~PendingPath();
  PendingPath(const PendingPath&) = delete;
  PendingPath& operator=(const PendingPath&) = delete;
  const std::filesystem::path& temporary() const noexcept { return temporary_; }
  // fsyncs the temporary (each file in it, when it is a folder), then renames. A file under the
  // final name is replaced; a folder there must not exist (Fault::Environment).
  void publish();

 private:
  std::filesystem::path final_, temporary_;
  bool published_ = false;
};

// Remove what dead processes left: entries of `folder` under temporary names of a final name that
// `is_ours` accepts, whose process no longer lives on this host, or which another host's left
// unchanged for a day. Returns how many.
int remove_leftovers(const std::filesystem::path& folder,
                     const std::function<bool(const std::string& final_name)>& is_ours);

}  // namespace homolog

// The file in which rank 0 writes where it listens, for workers that share no more than a disk. It
// lives while the world forms; one that a dead job left is replaced by rank 0 and believed by
// nobody.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace homolog::comm {

struct Meeting {
  std::string world_id;
  std::string key;  // drawn anew for each world: only who reads the file has it
  std::string host;
  std::int64_t pid = 0;
  int port = 0;
  std::vector<std::string> addresses;
  std::string written;       // UTC
  std::string text() const;  // "host n1 (pid 77), written 2026-…"
};

// nullopt: there is none. Throws Fault::Usage when something else lies under the name.
std::optional<Meeting> read_meeting(const std::filesystem::path& file);

class MeetingFile {
 public:
  // Makes the parent folder and the file, readable by the user alone. Never replaces a file. False
  // in published(): somebody else's is there. Throws Fault::Environment.
  MeetingFile(std::filesystem::path file, Meeting meeting);
  ~MeetingFile();  // removes it, if it is still this one
  MeetingFile(const MeetingFile&) = delete;
  MeetingFile& operator=(const MeetingFile&) = delete;
  bool published() const { return published_; }
  void require_still_ours() const;  // throws Fault::Environment naming who replaced or removed it

 private:
  std::filesystem::path file_;
  Meeting meeting_;
  bool published_ = false;
};

}  // namespace homolog::comm

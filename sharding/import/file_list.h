// The files of one study. The folder that they share is held once: a path for each slice of 5000
// studies would be a gigabyte.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace homolog::import {

class FileList {
 public:
  FileList() = default;
  FileList(const std::vector<std::filesystem::path>& files);  // NOLINT: a list of files is one

  bool empty() const noexcept { return names_.empty(); }
  std::size_t size() const noexcept { return names_.size(); }
  std::filesystem::path at(std::size_t i) const;  // as it was given; std::out_of_range beyond
  std::filesystem::path front() const { return at(0); }
  std::vector<std::filesystem::path> paths() const;
  bool operator<(const FileList& other) const;  // by the first file's path

 private:
  std::filesystem::path folder_;    // of the first
  std::vector<std::string> names_;  // within it; a file elsewhere has its whole path here
};

}  // namespace homolog::import

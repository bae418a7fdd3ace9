#include "sharding/import/file_list.h"

namespace homolog::import {

FileList::FileList(const std::vector<std::filesystem::path>& files) {
  if (files.empty()) return;
  folder_ = files.front().parent_path();
  const std::string& folder = folder_.native();
  names_.reserve(files.size());
  for (const auto& file : files) {
    const bool inside = file.parent_path().native() == folder;
    names_.push_back(inside ? file.filename().native() : file.native());
  }
}

std::filesystem::path FileList::at(std::size_t i) const { return folder_ / names_.at(i); }

std::vector<std::filesystem::path> FileList::paths() const {
  std::vector<std::filesystem::path> all;
  all.reserve(size());
  for (std::size_t i = 0; i < size(); ++i) all.push_back(at(i));
  return all;
}

bool FileList::operator<(const FileList& other) const {
  if (empty() || other.empty()) return empty() && !other.empty();
  const auto mine = front(), others = other.front();
  return mine != others ? mine < others : names_ < other.names_;
}

}  // namespace homolog::import

// A catalogued CT back as a Volume: read by its format, brought to canonical axes, checked against
// the entry.
#include "sharding/import/load.h"

#include "base/error.h"
#include "sharding/import/content.h"
#include "sharding/import/scan_reader.h"

namespace homolog::import {
namespace {

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  if (what.empty()) return;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

// Names of files and folders may be patients', and what is thrown here ends in logs. The study's
// id finds them in the catalogue.
std::string without_paths(const CatalogEntry& entry, std::string text) {
  const auto files = entry.files.paths();
  for (std::size_t i = 0; i < files.size(); ++i)
    replace_all(text, files[i].string(),
                "file " + std::to_string(i + 1) + " of " + std::to_string(files.size()));
  replace_all(text, files.front().parent_path().string(), "its folder");
  return "study " + entry.id + ": " + text;
}

void require_files(const CatalogEntry& entry) {
  for (const auto& file : entry.files.paths()) {
    std::error_code code;
    const bool there = std::filesystem::exists(file, code);
    if (code) {
      throw Error(Fault::Data, file.string() + " cannot be reached: " + code.message(),
                  "check the rights and the file system of its folder, which the catalogue names");
    }
    if (!there)
      throw Error(Fault::Data, file.string() + " is missing since the catalogue was made",
                  "bring it back (the catalogue has its path), or run homolog catalog again");
  }
}

Volume load(const CatalogEntry& entry) {
  require_files(entry);
  ReadScan read = entry.format == "dicom" ? read_dicom(entry.files.paths())
                                          : read_image_file(entry.files.front(), entry.format);
  Scan scan = canonical(std::move(read.scan));
  Volume volume{entry.id, scan.grid, std::move(scan.hu)};
  const bool resized = entry.grid.voxels() > 0 && !(volume.grid.size == entry.grid.size);
  if (resized || (!entry.content_hash.empty() && content_hash(volume) != entry.content_hash)) {
    throw Error(Fault::Data, "its voxels changed since the catalogue was made",
                "run homolog catalog again");
  }
  return volume;
}

}  // namespace

Volume load_volume(const CatalogEntry& entry) {
  if (entry.files.empty())
    throw Error(Fault::Data, "catalogue entry " + entry.id + " names no file");
  try {
    return load(entry);
  } catch (const Error& e) {
    throw Error(e.fault(), without_paths(entry, e.summary()), without_paths(entry, e.remedy()));
  }
}

}  // namespace homolog::import

// A catalogued CT back as a Volume: read by its format, brought to canonical axes, checked against
// the entry.
#include "sharding/import/load.h"

#include "base/error.h"
#include "sharding/import/content.h"
#include "sharding/import/scan_reader.h"

namespace homolog::import {

Volume load_volume(const CatalogEntry& entry) {
  if (entry.files.empty())
    throw Error(Fault::Data, "catalogue entry " + entry.id + " names no file");
  const std::string name = entry.files.front().string();
  for (const auto& file : entry.files.paths()) {
    std::error_code code;
    const bool there = std::filesystem::exists(file, code);
    if (code) {
      throw Error(Fault::Data, file.string() + " cannot be reached: " + code.message(),
                  "check the rights and the file system of its folder");
    }
    if (!there)
      throw Error(Fault::Data, file.string() + " is missing since the catalogue was made",
                  "bring it back, or run homolog catalog again");
  }
  ReadScan read = entry.format == "dicom" ? read_dicom(entry.files.paths())
                                          : read_image_file(entry.files.front(), entry.format);
  Scan scan = canonical(std::move(read.scan));
  Volume volume{entry.id, scan.grid, std::move(scan.hu)};
  const bool resized = entry.grid.voxels() > 0 && !(volume.grid.size == entry.grid.size);
  if (resized || (!entry.content_hash.empty() && content_hash(volume) != entry.content_hash)) {
    throw Error(Fault::Data, name + ": changed since the catalogue was made",
                "run homolog catalog again");
  }
  return volume;
}

}  // namespace homolog::import

// A catalogued CT back as a Volume: read by its format, brought to canonical axes, checked against
// the entry.
#include "sharding/import/load.h"

#include "base/error.h"
#include "sharding/import/content.h"
#include "sharding/import/scan_reader.h"

namespace homolog::import {

Volume load_volume(const CatalogEntry& entry, bool verify_content) {
  if (entry.files.empty())
    throw Error(Fault::Data, "catalogue entry " + entry.id + " names no file");
  const std::string name = entry.files.front().string();
  ReadScan read = entry.format == "dicom" ? read_dicom(entry.files)
                                          : read_image_file(entry.files.front(), entry.format);
  Scan scan = canonical(std::move(read.scan));
  if (entry.grid.voxels() > 0 && !(scan.grid.size == entry.grid.size)) {
    throw Error(Fault::Data, name + ": has another size than the catalogue says",
                "make the catalogue again");
  }
  Volume volume{entry.id, scan.grid, std::move(scan.hu)};
  if (verify_content && content_hash(volume) != entry.content_hash) {
    throw Error(Fault::Data, name + ": its voxels differ from the catalogue's content hash",
                "the file changed after it was catalogued: make the catalogue again");
  }
  return volume;
}

}  // namespace homolog::import

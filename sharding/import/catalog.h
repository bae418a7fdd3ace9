// The catalogue: one JSON line per CT, and one per refused input (docs/formats/catalog.md).
// Free of ITK.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sharding/import/file_list.h"
#include "volume/grid.h"

namespace homolog::import {

inline constexpr int kCatalogVersion = 2;

enum class Verdict { Accept, Warn, Reject };

struct CatalogEntry {
  std::string id;                    // keyed hash of the series' identity, 16 hex digits
  std::string subject;               // keyed hash of the patient, 16 hex digits: scans of
                                     // one never meet in a pair, nor over a split
  FileList files;                    // absolute; DICOM: in slice order; else the header,
                                     // then its data file where that is apart
  std::string format;                // "dicom", "nifti", "nrrd", "meta"
  Grid grid;                         // canonical (LPS+), as load_volume() gives it
  std::string original_orientation;  // "LPS", "RAS", "PIR", ... of the file, before reorienting
  std::array<double, 9> original_direction{1, 0, 0, 0, 1, 0, 0, 0, 1};
  int hu_min = 0, hu_max = 0;
  Point3 body_extent_mm;     // of the box of HU > -500
  std::string content_hash;  // xxh3 of the canonical voxels, 16 hex digits
  Verdict verdict = Verdict::Accept;
  std::vector<std::string> reasons;  // empty for accept
  bool hounsfield = true;            // false: its values are not HU, nothing may learn from it
};

// Accepted and warned entries only, in file order. Throws Fault::Data: missing file, other version,
// no catalogue line (named by number), no usable CT in it.
std::vector<CatalogEntry> read_catalog(const std::filesystem::path& catalog);

std::string to_json_line(const CatalogEntry& entry);
const char* verdict_name(Verdict verdict) noexcept;

}  // namespace homolog::import

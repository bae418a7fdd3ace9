// Scans in, scans out, through ITK (which this header does not show).
#pragma once

#include <filesystem>

#include "sharding/import/catalog.h"
#include "volume/volume.h"

namespace homolog::import {

// The voxels of a catalogued CT, in HU, reoriented to LPS+. Throws Fault::Data naming the file,
// also where its voxels are not those that the entry's content hash tells of (an empty hash tells
// nothing).
Volume load_volume(const CatalogEntry& entry);

// Write as .nii.gz, .nii, .mha or .nrrd, by extension; atomically. Throws Fault::Environment.
void write_volume(const Volume& volume, const std::filesystem::path& file);
// The same for a label map (unsigned bytes, [z][y][x]).
void write_labels(const Grid& grid, const std::vector<std::uint8_t>& labels,
                  const std::filesystem::path& file);

}  // namespace homolog::import

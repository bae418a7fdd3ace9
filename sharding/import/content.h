// Facts about a canonical volume's voxels: hash, HU range, extent of the body.
#pragma once

#include <string>
#include <vector>

#include "sharding/import/catalog.h"
#include "volume/volume.h"

namespace homolog::import {

// xxh3 over size and canonical voxels, 16 hex digits: equal for the same scan in another encoding.
std::string content_hash(const Volume& volume);

// Of several catalogued scans, in order.
std::string contents_hash(const std::vector<CatalogEntry>& entries);

// Fills grid, HU range, body extent and content hash of `entry`.
void describe(const Volume& volume, CatalogEntry& entry);

}  // namespace homolog::import

// Which scans of a catalogue something may learn from, told from the catalogue alone.
// The catalogue keeps a doubtful scan with a warning; here the useless ones are left out by name.
#pragma once

#include <string>
#include <vector>

#include "sharding/import/catalog.h"

namespace homolog::import {

struct LeftOut {
  std::string id, reason;
};

struct Usable {
  std::vector<CatalogEntry> entries;  // in the catalogue's order
  std::vector<LeftOut> left_out;
};

// Leaves out, with a warning each: values that are not HU; fewer than kFewSlices voxels along an
// axis; less than one `cell` (x, y, z) of voxels of `spacing_mm`. Throws Fault::Data when nothing
// stays.
Usable usable(std::vector<CatalogEntry> entries, double spacing_mm, const Index3& cell);

}  // namespace homolog::import

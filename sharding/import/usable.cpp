#include "sharding/import/usable.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "sharding/import/plausible.h"

namespace homolog::import {
namespace {

std::string text(const Index3& n) {
  return std::to_string(n.x) + "x" + std::to_string(n.y) + "x" + std::to_string(n.z);
}

// Empty: it can be used.
std::string reason_against(const CatalogEntry& e, double spacing_mm, const Index3& cell) {
  if (!e.hounsfield)
    return e.reasons.empty() ? "its values are not HU" : "not in HU: " + e.reasons.back();
  const Index3& n = e.grid.size;
  if (std::min({n.x, n.y, n.z}) < kFewSlices) return "too small: " + text(n) + " voxels";
  const Index3 seen = with_spacing(e.grid, {spacing_mm, spacing_mm, spacing_mm}).size;
  if (seen.x < cell.x || seen.y < cell.y || seen.z < cell.z) {
    return "too small for SAM: " + text(seen) + " voxels on its grid, it needs " + text(cell);
  }
  return "";
}

}  // namespace

Usable usable(std::vector<CatalogEntry> entries, double spacing_mm, const Index3& cell) {
  Usable result;
  for (CatalogEntry& entry : entries) {
    const std::string reason = reason_against(entry, spacing_mm, cell);
    if (reason.empty()) {
      result.entries.push_back(std::move(entry));
      continue;
    }
    log::warn("scan left out", {{"id", entry.id}, {"reason", reason}});
    result.left_out.push_back({entry.id, reason});
  }
  if (result.entries.empty()) {
    const std::string first =
        result.left_out.empty() ? "" : "; the first: " + result.left_out.front().reason;
    throw Error(Fault::Data,
                "none of the " + std::to_string(entries.size()) + " scans can be used" + first,
                "add scans, or mend these, and run homolog catalog again");
  }
  return result;
}

}  // namespace homolog::import

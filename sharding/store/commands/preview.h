// Pairs of a store to look at: a PNG sheet, or one HTML page that needs nothing else.
#pragma once

#include <filesystem>

#include "sharding/store/commands/preview_pairs.h"

namespace homolog::store {

// Throws Fault::Usage unless the name ends in .png or .html, or when a PNG would be too high.
void check_preview(const PreviewPlan& plan, const std::filesystem::path& out);

// Atomic. Throws as check_preview and read_preview; Fault::Environment when `out` cannot be
// written.
void write_preview(const PairStore& pairs, const PreviewPlan& plan,
                   const std::filesystem::path& out);

}  // namespace homolog::store

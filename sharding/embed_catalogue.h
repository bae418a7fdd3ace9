// Embeddings of a whole catalogue, into a folder. What is there already, whole and of these
// weights, is kept, so a run that was stopped goes on.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sharding/import/usable.h"
#include "sharding/match/embedder.h"

namespace homolog::shard {

struct EmbedCounts {
  std::int64_t made = 0, kept = 0;
  std::vector<import::LeftOut> left_out;  // could not be read or embedded, and why
};

// `advanced` is called after each scan. A scan that cannot be read costs itself alone. Throws
// Fault::Data when none could be embedded, Fault::Environment: the folder cannot be written;
// Fault::Stopped on a signal.
EmbedCounts embed_catalogue(const std::vector<import::CatalogEntry>& entries,
                            match::Embedder& embedder, const std::filesystem::path& folder,
                            const std::function<void()>& advanced);

}  // namespace homolog::shard

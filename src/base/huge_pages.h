// Host memory for long arrays that are swept through: on pages of 2 MB, which a processor addresses
// without looking them up again and again.
#pragma once

#include <cstddef>

namespace homolog {

// At least `bytes`, aligned to 2 MB, not initialised; std::free() gives it back. Where the system
// has no huge pages to give, these are plain ones. Throws std::bad_alloc.
void* on_huge_pages(std::size_t bytes);

}  // namespace homolog

// Walks what HDF5 calls metadata before the HDF5 library sees it: of the many structures that it
// can parse a shard has a few, and any other is refused (FORMAT.md, "Structures").
// For the .cpp files of this folder alone.
#pragma once

#include <optional>

#include "sharding/store/file_bytes.h"

namespace homolog::store {

struct FileStructure {
  std::vector<Extent> used;  // all that means something, but for the crops and their index
  std::uint64_t crops = 0;
  std::uint64_t chunk_index = ~std::uint64_t{0};  // root of HDF5's index of crops; ~0: none
};

// Superblock, root group, and the header of each dataset. Some 20 small reads.
// Throws Fault::Data naming the file, what is wrong and the byte.
FileStructure walk_structure(const FileBytes& file);

struct IndexedChunk {
  std::uint64_t row = 0;
  Extent place;
};
// HDF5's own index of the crops, in order of rows; its nodes are added to structure.used.
std::vector<IndexedChunk> walk_chunk_index(const FileBytes& file, FileStructure& structure);

// The first byte that two of them share.
std::optional<std::uint64_t> first_overlap(std::vector<Extent> used);
// Bytes that belong to nothing and are not 0: where each run of them begins.
std::vector<std::uint64_t> stray_bytes(const FileBytes& file, std::vector<Extent> used);

}  // namespace homolog::store

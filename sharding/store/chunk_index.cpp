// HDF5's index of chunks (a version 1 B-tree), and the bytes that no structure owns.
// For the verifier: a reader takes addresses from chunk_table.
#include <algorithm>

#include "sharding/store/file_structure.h"

namespace homolog::store {
namespace {

constexpr std::uint64_t kNone = ~std::uint64_t{0};
constexpr std::size_t kHead = 24, kKey = 48, kChild = 8, kMostChildren = 64;
constexpr int kMaxLevel = 4;  // 64^3 crops are more than a shard may hold

class IndexWalk {
 public:
  IndexWalk(const FileBytes& file, FileStructure& structure) : file_(file), structure_(structure) {}

  std::vector<IndexedChunk> run() {
    if (structure_.chunk_index != kNone) node(structure_.chunk_index, kMaxLevel + 1);
    return std::move(chunks_);
  }

 private:
  void node(std::uint64_t address, int below) {
    // Every node holds a crop, so more nodes than crops are a cycle.
    if (++nodes_ > structure_.crops + kMaxLevel)
      file_.refuse("an index of crops in a cycle", address);
    const Block b =
        file_.read(address, kHead + (kKey + kChild) * kMostChildren + kKey, "the index of crops");
    const int level = b.get<std::uint8_t>(5);
    const std::size_t count = b.get<std::uint16_t>(6);
    if (!b.starts_with("TREE\x01") || level >= below || count < 1 || count > kMostChildren)
      file_.refuse("an index of crops of another kind", address);
    structure_.used.push_back({address, kHead + (kKey + kChild) * count + kKey});
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t key = kHead + (kKey + kChild) * i;
      const auto child = b.get<std::uint64_t>(key + kKey);
      if (level > 0) {
        node(child, level);
      } else {
        chunk(b, key, child);
      }
    }
  }

  void chunk(const Block& b, std::size_t key, std::uint64_t address) {
    const auto row = b.get<std::uint64_t>(key + 8);
    bool first_voxel = true;  // a chunk begins at voxel 0 of its crop
    for (std::size_t side = 1; side < 5; ++side)
      first_voxel = first_voxel && b.get<std::uint64_t>(key + 8 + 8 * side) == 0;
    if (row != chunks_.size() || !first_voxel || b.get<std::uint32_t>(key + 4) != 0)
      file_.refuse("an index of crops that is out of order or skips the filter", b.offset + key);
    chunks_.push_back({row, {address, b.get<std::uint32_t>(key)}});
  }

  const FileBytes& file_;
  FileStructure& structure_;
  std::vector<IndexedChunk> chunks_;
  std::uint64_t nodes_ = 0;
};

bool by_offset(const Extent& a, const Extent& b) { return a.offset < b.offset; }

// The first byte of [from, to) that is not 0, or `to`.
std::uint64_t first_stray(const FileBytes& file, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t at = from; at < to;) {
    const std::uint64_t size = std::min(to - at, FileBytes::kLongest);
    const Block b = file.read(at, size, "unused space");
    const auto stray = std::find_if(b.bytes.begin(), b.bytes.end(), [](auto v) { return v != 0; });
    if (stray != b.bytes.end()) return at + static_cast<std::uint64_t>(stray - b.bytes.begin());
    at += size;
  }
  return std::max(from, to);
}

}  // namespace

std::vector<IndexedChunk> walk_chunk_index(const FileBytes& file, FileStructure& structure) {
  return IndexWalk(file, structure).run();
}

std::optional<std::uint64_t> first_overlap(std::vector<Extent> used) {
  std::erase_if(used, [](const Extent& e) { return e.size == 0; });
  std::sort(used.begin(), used.end(), by_offset);
  const auto twice =
      std::adjacent_find(used.begin(), used.end(),
                         [](const Extent& a, const Extent& b) { return b.offset < a.end(); });
  return twice == used.end() ? std::nullopt : std::optional((twice + 1)->offset);
}

std::vector<std::uint64_t> stray_bytes(const FileBytes& file, std::vector<Extent> used) {
  used.push_back({file.size(), 0});
  std::sort(used.begin(), used.end(), by_offset);
  std::vector<std::uint64_t> findings;
  std::uint64_t end = 0;
  for (const Extent& extent : used) {
    const std::uint64_t stray = first_stray(file, end, extent.offset);
    if (stray < extent.offset) findings.push_back(stray);
    end = std::max(end, extent.end());
  }
  return findings;
}

}  // namespace homolog::store

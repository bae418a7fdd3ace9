// The structures that HDF5 1.10 writes for a shard: superblock 0, one group as a symbol table,
// object headers 1. Numbers of bytes are those of its file format specification.
#include "sharding/store/file_structure.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "sharding/store/h5.h"
#include "sharding/store/object_header.h"

namespace homolog::store {
namespace {

constexpr std::uint64_t kNone = ~std::uint64_t{0};

class Walk {
 public:
  explicit Walk(const FileBytes& file) : file_(file) {}

  FileStructure run() {
    const std::uint64_t root = superblock();
    std::uint64_t table = kNone, heap = kNone;
    for (const Message& m : root_messages(root)) {
      if (m.type != MessageType::SymbolTable) continue;
      table = m.body.get<std::uint64_t>(0);
      heap = m.body.get<std::uint64_t>(8);
      use(m.body.offset, 16);
    }
    if (table != table_ || heap != heap_) file_.refuse("two tables of objects", root);
    for (const auto& [name, address] : objects(table, names(heap))) dataset(name, address);
    if (const auto twice = first_overlap(structure_.used)) file_.refuse("two structures", *twice);
    return std::move(structure_);
  }

 private:
  void use(std::uint64_t offset, std::uint64_t size) { structure_.used.push_back({offset, size}); }
  std::uint64_t superblock();
  std::vector<Message> root_messages(std::uint64_t root);
  bool attribute(const Message& message, std::set<std::string>& seen);
  Block names(std::uint64_t heap);
  std::map<std::string, std::uint64_t> objects(std::uint64_t table, const Block& names);
  void dataset(const std::string& name, std::uint64_t address);
  std::vector<std::uint64_t> dataspace(const Message& message);
  void datatype(const std::string& name, const Message& message);
  void layout(const std::string& name, const Message& message,
              const std::vector<std::uint64_t>& sides);
  void filters(const Message& message);

  const FileBytes& file_;
  FileStructure structure_;
  std::uint64_t table_ = kNone, heap_ = kNone;  // as the superblock has them
  std::string encoding_;
};

std::uint64_t Walk::superblock() {
  const Block b = file_.read(0, std::min<std::uint64_t>(96, file_.size()), "the superblock");
  if (!b.starts_with("\x89HDF\r\n\x1a\n")) file_.refuse("not an HDF5 file", 0);
  if (b.get<std::uint8_t>(8) != 0) file_.refuse("a superblock of another version", 8);
  // Versions, sizes of addresses and lengths, and of the nodes of both trees.
  if (b.get<std::uint32_t>(8) != 0 || b.get<std::uint32_t>(12) != 0x00080800 ||
      b.get<std::uint32_t>(16) != 0x00100004 || b.get<std::uint32_t>(20) != 0 ||
      b.get<std::uint64_t>(24) != 0 || b.get<std::uint64_t>(32) != kNone ||
      b.get<std::uint64_t>(48) != kNone || b.get<std::uint64_t>(56) != 0 ||
      b.get<std::uint32_t>(72) != 1) {
    file_.refuse("a superblock of another kind than a shard's", 8);
  }
  if (b.get<std::uint64_t>(40) != file_.size())
    file_.refuse("truncated or damaged: " + std::to_string(file_.size()) + " bytes, not the " +
                     std::to_string(b.get<std::uint64_t>(40)) + " that it says",
                 40);
  use(0, 96);
  table_ = b.get<std::uint64_t>(80);
  heap_ = b.get<std::uint64_t>(88);
  return b.get<std::uint64_t>(64);
}

std::vector<Message> Walk::root_messages(std::uint64_t root) {
  std::vector<Message> messages = read_object_header(file_, root, structure_.used);
  std::set<std::string> seen;
  std::uint64_t other = kNone, unknown = kNone;
  for (const Message& m : messages) {
    if (m.type == MessageType::Attribute) {
      if (!attribute(m, seen)) unknown = m.body.offset;
    } else if (m.type != MessageType::SymbolTable) {
      other = m.body.offset;
    }
  }
  if (!seen.contains("format")) file_.refuse("not a pair shard of homolog", root);
  // Names are not repeated: they may hold what must not be shown.
  if (unknown != kNone) file_.refuse("an attribute that is not of the format", unknown);
  if (other != kNone)
    file_.refuse("a root group that may hold links or comments, which are not of the format",
                 other);
  if (seen.size() != kRootAttributes.size()) file_.refuse("an attribute is missing", root);
  return messages;
}

// False for one that is not of the format. Another version is refused here, by its number.
bool Walk::attribute(const Message& message, std::set<std::string>& seen) {
  const Attribute a = read_attribute(message, structure_.used);
  if (!kRootAttributes.contains(a.name) || !seen.insert(a.name).second) return false;
  if (a.name == "axes" && a.text != kAxes) file_.refuse("other axes", message.body.offset);
  if (a.name == "encoding") encoding_ = a.text;
  if (a.name == "version" && a.number != kFormatVersion) {
    throw Error(Fault::Data,
                file_.name() + ": shard format version " + std::to_string(a.number) +
                    ", this program reads version " + std::to_string(kFormatVersion),
                "use the homolog that wrote it, or write the store again with homolog shard");
  }
  return true;
}

// The heap of the group's names.
Block Walk::names(std::uint64_t heap) {
  const Block b = file_.read(heap, 32, "the heap of names");
  if (!b.starts_with("HEAP") || b.get<std::uint32_t>(4) != 0)
    file_.refuse("no heap of names", heap);
  const auto free = b.get<std::uint64_t>(16), at = b.get<std::uint64_t>(24);
  Block text = file_.read(at, b.get<std::uint64_t>(8), "the names");
  constexpr std::uint64_t kNoFree = 1;
  use(heap, 32);
  use(at, 8);  // the empty name of the root itself
  if (free != kNoFree) {
    if (text.get<std::uint64_t>(free) != kNoFree ||
        text.get<std::uint64_t>(free + 8) > text.bytes.size() - free)
      file_.refuse("names were removed, or objects other than a shard's were here", at);
    use(at + free, 16);
  }
  return text;
}

std::map<std::string, std::uint64_t> Walk::objects(std::uint64_t table, const Block& names) {
  const auto other = [this](std::uint64_t byte) {
    file_.refuse("other objects than crops, chunk_table, crop_table, pair_table and study_table",
                 byte);
  };
  const Block tree = file_.read(table, 544, "the table of objects");
  if (!tree.starts_with("TREE") || tree.get<std::uint16_t>(4) != 0 ||
      tree.get<std::uint16_t>(6) != 1 || tree.get<std::uint64_t>(8) != kNone ||
      tree.get<std::uint64_t>(16) != kNone) {
    other(table);
  }
  const auto node = tree.get<std::uint64_t>(32);
  use(table, 48);
  const Block symbols = file_.read(node, 328, "the table of objects");
  if (!symbols.starts_with("SNOD\x01")) other(node);
  const std::size_t count = symbols.get<std::uint16_t>(6);
  use(node, 8 + 40 * count);
  std::map<std::string, std::uint64_t> found;
  for (std::size_t i = 0; i < std::min<std::size_t>(count, 8); ++i) {
    const std::size_t at = 8 + 40 * i;
    if (symbols.get<std::uint32_t>(at + 16) == 2)
      file_.refuse("an external or soft link, which a shard may not hold", node + at);
    const auto name = symbols.get<std::uint64_t>(at);
    const std::string text = names.text(name);
    if (!kDatasets.contains(text) || symbols.get<std::uint32_t>(at + 16) != 0) other(node + at);
    use(names.offset + name, text.size());
    found[text] = symbols.get<std::uint64_t>(at + 8);
  }
  if (count != kDatasets.size() || found.size() != kDatasets.size()) other(node);
  return found;
}

void Walk::dataset(const std::string& name, std::uint64_t address) {
  std::map<MessageType, const Message*> parts;
  const auto messages = read_object_header(file_, address, structure_.used);
  for (const Message& m : messages) {
    if (m.type == MessageType::Attribute)
      file_.refuse(name + " has an attribute, which is not of the format", m.body.offset);
    if (!parts.emplace(m.type, &m).second)
      file_.refuse(name + " describes itself twice", m.body.offset);
  }
  std::set<MessageType> expected{MessageType::Dataspace, MessageType::Datatype, MessageType::Fill,
                                 MessageType::Layout};
  if (name == "crops") expected.insert(MessageType::Filters);
  for (const MessageType type : expected)
    if (!parts.contains(type)) file_.refuse(name + " lacks a part of its description", address);
  if (parts.size() != expected.size())
    file_.refuse(name + " is stored in another way than the format's", address);
  const Message& fill = *parts.at(MessageType::Fill);
  if (fill.body.get<std::uint8_t>(0) != 2 || fill.body.get<std::uint32_t>(4) != 0)
    file_.refuse(name + " has a fill value", fill.body.offset);
  use(fill.body.offset, 8);
  const auto sides = dataspace(*parts.at(MessageType::Dataspace));
  if (sides.size() != (name == "crops" ? 4 : 1)) file_.refuse(name + " is no list", address);
  datatype(name, *parts.at(MessageType::Datatype));
  layout(name, *parts.at(MessageType::Layout), sides);
  if (name == "crops") {
    filters(*parts.at(MessageType::Filters));
    structure_.crops = sides[0];
    if (sides[0] > static_cast<std::uint64_t>(kMaxCropsPerShard))
      file_.refuse("more crops than a shard may hold", address);
    if (*std::max_element(sides.begin() + 1, sides.end()) > static_cast<std::uint64_t>(kMaxSide))
      file_.refuse("a crop side beyond " + std::to_string(kMaxSide) + " voxels", address);
  }
}

std::vector<std::uint64_t> Walk::dataspace(const Message& message) {
  const Block& b = message.body;
  const std::size_t rank = b.get<std::uint8_t>(1), has_most = b.get<std::uint8_t>(2);
  if (b.get<std::uint8_t>(0) != 1 || rank < 1 || rank > 4 || has_most > 1)
    file_.refuse("a dataspace of another kind than a shard's", b.offset);
  std::vector<std::uint64_t> sides;
  for (std::size_t i = 0; i < rank; ++i) {
    sides.push_back(b.get<std::uint64_t>(8 + 8 * i));
    const auto most = has_most ? b.get<std::uint64_t>(8 + 8 * (rank + i)) : sides[i];
    if (most != sides[i] && most != kNone) file_.refuse("a side of bounded growth", b.offset);
  }
  use(b.offset, 8 + 8 * rank * (1 + has_most));
  return sides;
}

// As the library itself encodes the columns of the format.
void Walk::datatype(const std::string& name, const Message& message) {
  const h5::Handle type = h5::type_on_disk(name, encoding_);
  std::size_t size = 0;
  H5Tencode(type, nullptr, &size);
  std::vector<std::uint8_t> expected(size);
  H5Tencode(type, expected.data(), &size);
  constexpr std::size_t kTag = 2;  // what H5Tencode puts before the message
  if (message.body.bytes.size() < size - kTag ||
      !std::equal(expected.begin() + kTag, expected.end(), message.body.bytes.begin())) {
    file_.refuse(
        name == "crops" ? "crops of another type than its encoding" : name + " has other columns",
        message.body.offset);
  }
  use(message.body.offset, size - kTag);
}

void Walk::layout(const std::string& name, const Message& message,
                  const std::vector<std::uint64_t>& sides) {
  const Block& b = message.body;
  const bool in_chunks = name == "crops";
  if (b.get<std::uint8_t>(0) != 3 || b.get<std::uint8_t>(1) != (in_chunks ? 2 : 1))
    file_.refuse(name + " is stored in another way than the format's", b.offset);
  const std::uint64_t row = H5Tget_size(h5::type_on_disk(name, encoding_)), rows = sides[0];
  if (in_chunks) {
    const std::uint64_t expected[] = {1, sides[1], sides[2], sides[3], row};
    bool one_crop = b.get<std::uint8_t>(2) == std::size(expected);
    for (std::size_t i = 0; i < std::size(expected); ++i)
      one_crop = one_crop && b.get<std::uint32_t>(11 + 4 * i) == expected[i];
    if (!one_crop) file_.refuse("a chunk that is not one crop", b.offset);
    structure_.chunk_index = b.get<std::uint64_t>(3);
    return use(b.offset, 11 + 4 * std::size(expected));
  }
  const auto at = b.get<std::uint64_t>(2), size = b.get<std::uint64_t>(10);
  use(b.offset, 18);
  if (at == kNone && rows == 0) return;
  if (rows > file_.size() || size != rows * row || at > file_.size() || size > file_.size() - at)
    file_.refuse(name + " is longer than the file", b.offset);
  use(at, size);
}

void Walk::filters(const Message& message) {
  const Block& b = message.body;
  const std::size_t name = b.get<std::uint16_t>(10);  // bytes; HDF5 adds it where it knows it
  if (b.get<std::uint16_t>(0) != 0x0101 || b.get<std::uint16_t>(8) != kBloscFilter ||
      b.get<std::uint16_t>(14) != 7 || (name != 0 && (name != 8 || b.text(16) != "blosc"))) {
    file_.refuse("crops that are not compressed with Blosc (filter 32001) alone", b.offset);
  }
  use(b.offset, 16 + name + 4 * 7);
}

}  // namespace

FileStructure walk_structure(const FileBytes& file) { return Walk(file).run(); }

}  // namespace homolog::store

// Parsed by hand because HDF5 1.10 crashes on forged headers; offsets are those of its
// specification. Padding and reserved bytes are left out of `used`, so that the verifier finds what
// hides there.
#include "sharding/store/object_header.h"

#include <algorithm>

namespace homolog::store {
namespace {

constexpr std::size_t kMaxBlocks = 8, kMaxBlockBytes = 1 << 16, kMaxMessages = 64;
constexpr std::size_t kPrefix = 16, kMessagePrefix = 8, kMaxText = 64;

std::size_t padded(std::size_t bytes) { return (bytes + 7) / 8 * 8; }

// Of one block of a header. Returns how many messages it holds.
std::size_t read_block(const FileBytes& file, const Extent& at, std::vector<Extent>& blocks,
                       std::vector<Message>& messages, std::vector<Extent>& used) {
  if (at.size > kMaxBlockBytes) file.refuse("an object header that is too long", at.offset);
  const Block block = file.read(at.offset, at.size, "an object header");
  std::size_t count = 0, place = 0;
  for (; place < block.bytes.size(); ++count) {
    const std::uint64_t byte = at.offset + place;
    const auto type = static_cast<MessageType>(block.get<std::uint16_t>(place));
    const auto size = block.get<std::uint16_t>(place + 2);
    // 1: constant. Shared messages lie elsewhere; none of a shard's is.
    if (block.get<std::uint8_t>(place + 4) > 1) file.refuse("a shared or unknown message", byte);
    if (kMessagePrefix + size > block.bytes.size() - place)
      file.refuse("a message that is longer than its header", byte);
    used.push_back({byte, 5});
    const std::size_t body = place + kMessagePrefix;
    if (type == MessageType::Continuation) {
      used.push_back({at.offset + body, 16});
      blocks.push_back({block.get<std::uint64_t>(body), block.get<std::uint64_t>(body + 8)});
    } else if (type != MessageType::Nothing) {
      messages.push_back({type, file.read(at.offset + body, size, "a message")});
    }
    place = body + size;
  }
  return count;
}

}  // namespace

std::vector<Message> read_object_header(const FileBytes& file, std::uint64_t address,
                                        std::vector<Extent>& used) {
  const Block prefix = file.read(address, kPrefix, "an object header");
  if (prefix.get<std::uint8_t>(0) != 1)
    file.refuse("an object header of another version than a shard's", address);
  const auto expected = prefix.get<std::uint16_t>(2);
  if (expected > kMaxMessages || prefix.get<std::uint32_t>(4) != 1)
    file.refuse("an object with several names or too many messages", address);
  used.push_back({address, 12});
  std::vector<Message> messages;
  std::vector<Extent> blocks{{address + kPrefix, prefix.get<std::uint32_t>(8)}};
  std::size_t count = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i == kMaxBlocks) file.refuse("an object header in too many pieces", address);
    const Extent block = blocks[i];
    count += read_block(file, block, blocks, messages, used);
  }
  if (count != expected) file.refuse("an object header that miscounts its messages", address);
  return messages;
}

Attribute read_attribute(const Message& message, std::vector<Extent>& used) {
  const Block& body = message.body;
  const auto name_size = body.get<std::uint16_t>(2), type_size = body.get<std::uint16_t>(4),
             space_size = body.get<std::uint16_t>(6);
  const std::size_t type = 8 + padded(name_size), space = type + padded(type_size),
                    data = space + padded(space_size);
  const auto kind = body.get<std::uint32_t>(type), size = body.get<std::uint32_t>(type + 4);
  // Classes and bit fields of its datatype message: int32, little-endian, or a string of bytes.
  constexpr std::uint32_t kInt32 = 0x0810, kString = 0x13, kAnyPaddingAndCharset = 0x12;
  const bool number = kind == kInt32 && type_size == 12 && size == 4 &&
                      body.get<std::uint32_t>(type + 8) == 32U << 16;
  const bool word = (kind & 0xFF) == kString && (kind >> 8) <= kAnyPaddingAndCharset &&
                    type_size == 8 && size >= 1 && size <= kMaxText;
  const bool scalar = space_size == 8 && body.get<std::uint64_t>(space) == 1;  // no dimension
  Attribute attribute;
  attribute.name = body.text(8);
  // The name is not repeated: it may hold what must not be shown.
  if (body.get<std::uint16_t>(0) != 1 || attribute.name.size() + 1 != name_size || !scalar ||
      !(number || word)) {
    body.file->refuse("an attribute of a kind that is not of the format", body.offset);
  }
  attribute.is_number = number;
  if (number) attribute.number = body.get<std::int32_t>(data);
  (void)body.get<std::uint8_t>(data + size - 1);  // it ends within the message
  const auto from = body.bytes.begin() + static_cast<std::ptrdiff_t>(data);
  if (word) attribute.text.assign(from, std::find(from, from + size, std::uint8_t{0}));
  used.insert(used.end(), {{body.offset, 8U + name_size},
                           {body.offset + type, type_size},
                           {body.offset + space, space_size},
                           {body.offset + data, number ? size : attribute.text.size()}});
  return attribute;
}

}  // namespace homolog::store

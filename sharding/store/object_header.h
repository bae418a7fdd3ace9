// HDF5 object headers as a shard has them: version 1, a closed list of messages.
// For the .cpp files of this folder alone.
#pragma once

#include <vector>

#include "sharding/store/file_bytes.h"

namespace homolog::store {

// Types of header messages (HDF5 file format specification, IV.A.2).
enum class MessageType : int {
  Nothing = 0x00,
  Dataspace = 0x01,
  Datatype = 0x03,
  Fill = 0x05,
  Layout = 0x08,
  Filters = 0x0B,
  Attribute = 0x0C,
  Continuation = 0x10,
  SymbolTable = 0x11,
};

struct Message {
  MessageType type;
  Block body;
};

// Messages of the object at `address`, without empty ones and continuations. What they occupy,
// bodies left out, is added to `used`. Throws Fault::Data for any other kind of header.
std::vector<Message> read_object_header(const FileBytes& file, std::uint64_t address,
                                        std::vector<Extent>& used);

// An attribute of the root: one int32 or one string of at most 64 bytes.
struct Attribute {
  std::string name;
  bool is_number = false;
  std::int32_t number = 0;
  std::string text;
};
// Adds what the attribute occupies to `used`. Throws Fault::Data for anything else.
Attribute read_attribute(const Message& message, std::vector<Extent>& used);

}  // namespace homolog::store

// A shard's bytes, bounded: what the walk over its structures and the verifier read.
// For the .cpp files of this folder alone.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace homolog::store {

struct Extent {
  std::uint64_t offset = 0, size = 0;
  std::uint64_t end() const noexcept { return offset + size; }
};

class FileBytes;

// Part of a file in memory. Numbers are little-endian.
struct Block {
  const FileBytes* file;
  std::uint64_t offset;
  std::vector<std::uint8_t> bytes;

  // Throws Fault::Data where the block ends before.
  template <class T>
  T get(std::size_t at) const {
    T value;
    std::memcpy(&value, need(at, sizeof value), sizeof value);
    return value;
  }
  bool starts_with(const char* magic) const noexcept;
  // Up to the first 0 byte, "" where none comes before the block's end.
  std::string text(std::size_t at) const;

 private:
  const std::uint8_t* need(std::size_t at, std::size_t size) const;
};

class FileBytes {
 public:
  static constexpr std::uint64_t kLongest = 1 << 20;  // of one read

  FileBytes(const std::filesystem::path& file, int descriptor, std::uint64_t size)
      : file_(file), descriptor_(descriptor), size_(size) {}
  std::string name() const { return file_.string(); }
  std::uint64_t size() const noexcept { return size_; }
  // Throws Fault::Data: beyond the file, longer than kLongest; Fault::Environment when reading
  // fails. `what` names the structure in messages.
  Block read(std::uint64_t offset, std::uint64_t size, const char* what) const;
  // Throws Fault::Data: "FILE: WHAT at byte BYTE".
  [[noreturn]] void refuse(const std::string& what, std::uint64_t byte) const;

 private:
  const std::filesystem::path& file_;
  int descriptor_;
  std::uint64_t size_;
};

}  // namespace homolog::store

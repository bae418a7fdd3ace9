// A ZIP file of records that are stored as they are, as torch.save writes them. Nothing is
// inflated, so that no record is larger than the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace homolog::model {

struct ZipRecord {
  std::uint64_t begin = 0;              // of its own header in the file
  std::uint64_t offset = 0, bytes = 0;  // of its data
  std::uint32_t crc = 0;
};

class ZipArchive {
 public:
  // Reads the directory. Throws Fault::Data naming file and offset: cut off, damaged, a
  // TorchScript program, compressed or encrypted records, records that overlap or leave the file.
  explicit ZipArchive(std::filesystem::path file);
  const std::map<std::string, ZipRecord>& records() const noexcept { return records_; }
  // One record's bytes into `into`, checksum compared. Throws Fault::Data.
  void read(const std::string& name, char* into) const;
  std::string read(const std::string& name) const;

 private:
  void add(const std::string& entry, std::uint64_t at, std::uint64_t directory);
  void check_no_overlap() const;
  std::string bytes_at(std::uint64_t offset, std::uint64_t count) const;
  [[noreturn]] void broken(std::uint64_t offset, const std::string& why) const;

  std::filesystem::path file_;
  std::uint64_t size_ = 0;
  std::map<std::string, ZipRecord> records_;
};

}  // namespace homolog::model

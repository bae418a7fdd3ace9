#include "model/weights/zip_archive.h"

#include <algorithm>
#include <boost/crc.hpp>
#include <fstream>
#include <vector>

#include "base/error.h"
#include "model/weights/file_words.h"

namespace homolog::model {
namespace {

// Sizes of the format's structures, without their names and extras.
constexpr std::uint64_t kEnd = 22, kEnd64Locator = 20, kEnd64 = 56, kEntry = 46, kLocal = 30;
constexpr std::uint64_t kLongestComment = 65535, kLargestDirectory = 64ULL << 20U;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // the number stands in the 64-bit extra
constexpr std::uint16_t kExtra64 = 1;

std::uint64_t little(const std::string& raw, std::size_t at, int bytes) {
  std::uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i)
    value = value << 8U | static_cast<std::uint8_t>(raw.at(at + static_cast<std::size_t>(i)));
  return value;
}

struct Directory {
  std::uint64_t offset = 0, bytes = 0, entries = 0;
};

// Takes the 64-bit numbers of an entry's extra field, in the order of those that need one.
class Extra64 {
 public:
  explicit Extra64(const std::string& extra) {
    for (std::size_t at = 0; at + 4 <= extra.size();) {
      const std::size_t bytes = little(extra, at + 2, 2);
      if (little(extra, at, 2) == kExtra64 && at + 4 + bytes <= extra.size())
        field_ = extra.substr(at + 4, bytes);
      at += 4 + bytes;
    }
  }
  // False: the field is too short.
  bool widen(std::uint64_t& number) {
    if (number != kIn64) return true;
    if (at_ + 8 > field_.size()) return false;
    number = little(field_, at_, 8);
    at_ += 8;
    return true;
  }

 private:
  std::string field_;
  std::size_t at_ = 0;
};

}  // namespace

void ZipArchive::broken(std::uint64_t offset, const std::string& why) const {
  throw Error(Fault::Data,
              file_.string() + " is not a usable torch file: at byte " + std::to_string(offset) +
                  " of " + std::to_string(size_) + ", " + why,
              "copy it again, in full, or save its state dict once more");
}

std::string ZipArchive::bytes_at(std::uint64_t offset, std::uint64_t count) const {
  if (offset > size_ || count > size_ - offset)
    broken(std::min(offset, size_), "it ends before what it says stands there (truncated?)");
  std::ifstream in(file_, std::ios::binary);
  std::string out(count, '\0');
  in.seekg(static_cast<std::streamoff>(offset));
  if (!in.read(out.data(), static_cast<std::streamsize>(count)))
    broken(offset, "it cannot be read");
  return out;
}

ZipArchive::ZipArchive(std::filesystem::path file) : file_(std::move(file)) {
  std::error_code code;
  size_ = std::filesystem::file_size(file_, code);
  if (code) throw Error(Fault::Data, "cannot read the weights " + file_.string(), "give a file");
  const std::uint64_t tail_at = size_ - std::min(size_, kEnd + kLongestComment);
  const std::string tail = bytes_at(tail_at, size_ - tail_at);
  const std::size_t found = tail.rfind("PK\x05\x06");
  if (found == std::string::npos || tail.size() - found < kEnd)
    broken(size_, "the archive's directory is missing: the file is cut off");
  Directory d{little(tail, found + 16, 4), little(tail, found + 12, 4),
              little(tail, found + 10, 2)};
  const std::uint64_t end_at = tail_at + found;
  if (end_at >= kEnd64Locator) {
    const std::string locator = bytes_at(end_at - kEnd64Locator, kEnd64Locator);
    if (locator.starts_with("PK\x06\x07")) {
      const std::uint64_t at = little(locator, 8, 8);
      const std::string end64 = bytes_at(at, kEnd64);
      if (!end64.starts_with("PK\x06\x06")) broken(at, "the directory's end is damaged");
      d = {little(end64, 48, 8), little(end64, 40, 8), little(end64, 32, 8)};
    }
  }
  if (d.offset > end_at || d.bytes > end_at - d.offset || d.entries > d.bytes / kEntry)
    broken(end_at, "the archive's directory does not fit the file (truncated?)");
  if (d.bytes > kLargestDirectory) broken(d.offset, "the archive's directory is too large");
  const std::string all = bytes_at(d.offset, d.bytes);
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < d.entries; ++i) {
    if (all.size() - at < kEntry || all.compare(at, 4, "PK\x01\x02") != 0)
      broken(d.offset + at, "the archive's directory is damaged");
    const std::uint64_t bytes =
        kEntry + little(all, at + 28, 2) + little(all, at + 30, 2) + little(all, at + 32, 2);
    if (bytes > all.size() - at) broken(d.offset + at, "the archive's directory is cut off");
    add(all.substr(at, bytes), d.offset + at, d.offset);
    at += bytes;
  }
  if (at != all.size()) broken(d.offset + at, "the archive's directory is damaged");
  check_no_overlap();
}

void ZipArchive::add(const std::string& entry, std::uint64_t at, std::uint64_t directory) {
  const std::size_t name_bytes = little(entry, 28, 2), extra_bytes = little(entry, 30, 2);
  const std::string name = entry.substr(kEntry, name_bytes);
  if (!is_name(name)) broken(at, "a record's name is no text: " + printable(name));
  if (name.ends_with("/constants.pkl") || name.find("/code/") != std::string::npos)
    throw Error(
        Fault::Data,
        file_.string() + " is a TorchScript program (torch.jit.save), which is never run here",
        "save its weights alone, where you trust it: "
        "torch.save(torch.jit.load(FILE).state_dict(), OTHER)");
  ZipRecord record{.crc = static_cast<std::uint32_t>(little(entry, 16, 4))};
  record.bytes = little(entry, 24, 4);
  std::uint64_t packed = little(entry, 20, 4), local = little(entry, 42, 4);
  Extra64 extra(entry.substr(kEntry + name_bytes, extra_bytes));
  if (!extra.widen(record.bytes) || !extra.widen(packed) || !extra.widen(local))
    broken(at, "the directory's entry " + name + " is damaged");
  if ((little(entry, 8, 2) & 1U) != 0) broken(at, "the record " + name + " is encrypted");
  if (little(entry, 10, 2) != 0 || packed != record.bytes)
    broken(at, "the record " + name + " is compressed, which torch.save never does");
  const std::string header = bytes_at(local, kLocal);
  if (!header.starts_with("PK\x03\x04") || little(header, 26, 2) != name_bytes ||
      bytes_at(local + kLocal, name_bytes) != name)
    broken(local, "the record " + name + " is damaged");
  record.begin = local;
  record.offset = local + kLocal + little(header, 26, 2) + little(header, 28, 2);
  if (record.offset > directory || record.bytes > directory - record.offset)
    broken(local, "the record " + name + " reaches past its part of the file");
  if (!records_.emplace(name, record).second) broken(at, "there are two records " + name);
}

void ZipArchive::check_no_overlap() const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const auto& [name, record] : records_) {
    spans.emplace_back(record.begin, record.offset + record.bytes);
  }
  std::sort(spans.begin(), spans.end());
  for (std::size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].first < spans[i - 1].second) broken(spans[i].first, "two records overlap");
  }
}

void ZipArchive::read(const std::string& name, char* into) const {
  const ZipRecord& record = records_.at(name);
  std::ifstream in(file_, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(record.offset));
  if (!in.read(into, static_cast<std::streamsize>(record.bytes)))
    broken(record.offset, "the record " + name + " cannot be read");
  boost::crc_32_type crc;
  crc.process_bytes(into, record.bytes);
  if (crc.checksum() != record.crc)
    broken(record.offset, "the record " + name + " does not have its checksum");
}

std::string ZipArchive::read(const std::string& name) const {
  std::string out(records_.at(name).bytes, '\0');
  read(name, out.data());
  return out;
}

}  // namespace homolog::model

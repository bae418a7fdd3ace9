// Files as torch.save writes them, made byte by byte, so that tests can make bad ones.
#pragma once

#include <unistd.h>

#include <boost/crc.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace homolog::model::torch_file {

inline std::string little(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// Pieces of a pickle.
inline std::string text(const std::string& t) { return "X" + little(t.size(), 4) + t; }
inline std::string number(std::int64_t n) {
  return "\x8a\x08" + little(static_cast<std::uint64_t>(n), 8);
}
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const auto& item : items) out += item;
  return out + "t";
}
inline std::string numbers(const std::vector<std::int64_t>& values) {
  std::vector<std::string> items;
  for (const auto v : values) items.push_back(number(v));
  return tuple(items);
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string out = "}(";
  for (const auto& [key, value] : items) out += text(key) + value;
  return out + "u";
}
inline std::string pickle(const std::string& body) { return "\x80\x02" + body + "."; }

struct TensorPlan {
  std::string key = "0";
  std::int64_t storage = 4;  // elements that the pickle claims
  std::int64_t offset = 0;
  std::vector<std::int64_t> size{2, 2}, stride{2, 1};
  std::string type = "FloatStorage";
};
inline std::string tensor(const TensorPlan& p) {
  const std::string id = tuple({text("storage"), global("torch", p.type), text(p.key), text("cpu"),
                                number(p.storage)}) +
                         "Q";
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({id, number(p.offset), numbers(p.size), numbers(p.stride), "\x89",
                global("collections", "OrderedDict") + ")R"}) +
         "R";
}

struct Record {
  std::string name, data;
  std::uint16_t method = 0;
  std::int64_t at = -1;          // >= 0: the directory points there instead
  std::uint32_t crc_xor = 0;     // damages the checksum
  std::uint32_t more_bytes = 0;  // that the directory claims beyond the data
};

// A ZIP file of stored records.
inline std::string zip(const std::vector<Record>& records) {
  std::string body, directory;
  for (const Record& r : records) {
    boost::crc_32_type crc;
    crc.process_bytes(r.data.data(), r.data.size());
    const std::uint64_t at = r.at >= 0 ? static_cast<std::uint64_t>(r.at) : body.size();
    const std::string facts = little(r.method, 2) + little(0, 4) +
                              little(crc.checksum() ^ r.crc_xor, 4) +
                              little(r.data.size() + r.more_bytes, 4) +
                              little(r.data.size() + r.more_bytes, 4) + little(r.name.size(), 2);
    body += "PK\x03\x04" + little(20, 2) + little(0, 2) + facts + little(0, 2) + r.name + r.data;
    directory += "PK\x01\x02" + little(20, 2) + little(20, 2) + little(0, 2) + facts +
                 little(0, 12) + little(at, 4) + r.name;
  }
  return body + directory + "PK\x05\x06" + little(0, 4) + little(records.size(), 2) +
         little(records.size(), 2) + little(directory.size(), 4) + little(body.size(), 4) +
         little(0, 2);
}

inline const std::string kFourFloats("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40", 16);

// torch.save of {"w": tensor, ...}.
inline std::string saved(const std::string& root, std::vector<Record> more = {}) {
  std::vector<Record> all = {{"archive/data.pkl", pickle(root)},
                             {"archive/byteorder", "little"},
                             {"archive/data/0", kFourFloats}};
  for (auto& record : more) {
    bool replaced = false;
    for (auto& old : all) {
      if (old.name == record.name) replaced = true, old = record;
    }
    if (!replaced) all.push_back(record);
  }
  return zip(all);
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes) {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("homolog-torch-file-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace homolog::model::torch_file

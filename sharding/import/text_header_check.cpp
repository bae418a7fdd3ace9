// NRRD and MetaImage headers: "key: value" and "key = value" text in front of, or apart from, the
// voxels.
#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "base/error.h"
#include "sharding/import/file_check.h"

namespace homolog::import {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostHeader = 256 << 10;

[[noreturn]] void refuse(const fs::path& file, const std::string& why) {
  throw Error(Fault::Data, file.string() + ": " + why);
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  return first == std::string::npos
             ? ""
             : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

struct TextHeader {
  std::map<std::string, std::string> fields;  // keys in lower case
  std::uint64_t data_at = 0;                  // offset of what follows the header
  bool ended = false;
  std::string operator[](const std::string& key) const {
    const auto found = fields.find(key);
    return found == fields.end() ? "" : found->second;
  }
  bool has(const std::string& key) const { return fields.count(key) > 0; }
};

std::vector<double> numbers(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '(' || c == ')' || c == ','; }, ' ');
  std::istringstream in(text);
  std::vector<double> values;
  for (std::string word; in >> word;) {
    try {
      if (word != "none") values.push_back(std::stod(word));
    } catch (const std::exception&) {
      values.push_back(std::nan(""));
    }
  }
  return values;
}

std::vector<std::int64_t> sizes_of(const fs::path& file, const std::string& text,
                                   const std::string& dimensions) {
  std::vector<std::int64_t> sizes;
  for (const double value : numbers(text)) {
    if (!(std::abs(value) < 1e15)) refuse(file, "its sizes are not numbers");
    sizes.push_back(static_cast<std::int64_t>(value));
  }
  if (sizes.empty() || std::to_string(sizes.size()) != dimensions)
    refuse(file, "its sizes do not agree with its number of dimensions");
  return sizes;
}

void check_axes(const fs::path& file, const std::vector<double>& m) {
  if (m.size() != 9) refuse(file, "the directions are not three vectors of three numbers");
  const double det = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
                     m[2] * (m[3] * m[7] - m[4] * m[6]);
  if (!(std::abs(det) > 1e-9)) refuse(file, "the directions are singular");
}

void check_spacing(const fs::path& file, const std::vector<double>& spacing) {
  for (const double step : spacing) {
    if (!(step > 0) || !std::isfinite(step)) refuse(file, "voxel spacing must be above zero");
  }
}

void check_compressed(const fs::path& data, std::uint64_t at, std::uint64_t declared,
                      HeaderFacts& facts) {
  const std::uint64_t on_disk = fs::file_size(data);
  check_ratio(data, declared, on_disk > at ? on_disk - at : 0);
  const Inflated inflated = inflate_check(data, at, declared + (64U << 20));
  check_length(data, declared, inflated.bytes, facts.warnings);
  if (inflated.trailing > 0)
    facts.warnings.push_back(std::to_string(inflated.trailing) +
                             " bytes behind the compressed stream were ignored");
}

TextHeader read_nrrd(const fs::path& file) {
  const std::string head = head_of(file, kMostHeader);
  TextHeader header;
  std::size_t at = head.find('\n');
  while (at != std::string::npos && at + 1 < head.size()) {
    const std::size_t end = head.find('\n', at + 1);
    if (end == std::string::npos) break;
    const std::string line = trimmed(head.substr(at + 1, end - at - 1));
    at = end;
    if (line.empty()) {
      header.ended = true;
      break;
    }
    const auto colon = line.find(':');
    if (line[0] == '#' || colon == std::string::npos || line.compare(colon, 2, ":=") == 0) continue;
    std::string key = trimmed(line.substr(0, colon));
    std::transform(key.begin(), key.end(), key.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    header.fields[key == "datafile" ? "data file" : key] = trimmed(line.substr(colon + 1));
  }
  header.data_at = at == std::string::npos ? head.size() : at + 1;
  if (head.size() < kMostHeader && (header.has("data file")))
    header.ended = true;  // detached: may end with the file
  return header;
}

int nrrd_voxel_bytes(const fs::path& file, std::string type) {
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  static const std::map<std::string, int> kBytes = {{"signed char", 1},
                                                    {"int8", 1},
                                                    {"int8_t", 1},
                                                    {"uchar", 1},
                                                    {"unsigned char", 1},
                                                    {"uint8", 1},
                                                    {"uint8_t", 1},
                                                    {"short", 2},
                                                    {"short int", 2},
                                                    {"signed short", 2},
                                                    {"signed short int", 2},
                                                    {"int16", 2},
                                                    {"int16_t", 2},
                                                    {"ushort", 2},
                                                    {"unsigned short", 2},
                                                    {"unsigned short int", 2},
                                                    {"uint16", 2},
                                                    {"uint16_t", 2},
                                                    {"int", 4},
                                                    {"signed int", 4},
                                                    {"int32", 4},
                                                    {"int32_t", 4},
                                                    {"uint", 4},
                                                    {"unsigned int", 4},
                                                    {"uint32", 4},
                                                    {"uint32_t", 4},
                                                    {"longlong", 8},
                                                    {"long long", 8},
                                                    {"int64", 8},
                                                    {"int64_t", 8},
                                                    {"ulonglong", 8},
                                                    {"unsigned long long", 8},
                                                    {"uint64", 8},
                                                    {"uint64_t", 8},
                                                    {"float", 4},
                                                    {"double", 8}};
  const auto found = kBytes.find(type);
  if (found == kBytes.end()) refuse(file, "unknown voxel type '" + type + "'");
  return found->second;
}

TextHeader read_meta(const fs::path& file) {
  const std::string head = head_of(file, kMostHeader);
  TextHeader header;
  for (std::size_t at = 0; at < head.size();) {
    const std::size_t end = std::min(head.find('\n', at), head.size());
    const std::string line = head.substr(at, end - at);
    at = end + 1;
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    std::string key = trimmed(line.substr(0, equals));
    std::transform(key.begin(), key.end(), key.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    header.fields[key] = trimmed(line.substr(equals + 1));
    if (key == "elementdatafile") {  // by the format always the last one
      header.ended = true;
      header.data_at = at;
      break;
    }
  }
  return header;
}

int meta_voxel_bytes(const fs::path& file, const std::string& type) {
  static const std::map<std::string, int> kBytes = {
      {"MET_CHAR", 1},      {"MET_UCHAR", 1},      {"MET_SHORT", 2}, {"MET_USHORT", 2},
      {"MET_INT", 4},       {"MET_UINT", 4},       {"MET_LONG", 4},  {"MET_ULONG", 4},
      {"MET_LONG_LONG", 8}, {"MET_ULONG_LONG", 8}, {"MET_FLOAT", 4}, {"MET_DOUBLE", 8}};
  const auto found = kBytes.find(type);
  if (found == kBytes.end()) refuse(file, "unknown element type '" + type + "'");
  return found->second;
}

}  // namespace

HeaderFacts check_nrrd(const fs::path& file) {
  const TextHeader header = read_nrrd(file);
  if (!header.ended) refuse(file, "the NRRD header is not terminated by an empty line");
  const std::string encoding = header["encoding"];
  const bool gzip = encoding == "gzip" || encoding == "gz";
  if (!gzip && encoding != "raw")
    refuse(file, "encoding '" + encoding + "' is not supported (raw and gzip are)");
  const int bytes = nrrd_voxel_bytes(file, header["type"]);
  const auto sizes = sizes_of(file, header["sizes"], header["dimension"]);
  const std::uint64_t declared = declared_bytes(file, sizes, bytes);
  if (sizes.size() != 3)
    refuse(file, std::to_string(sizes.size()) + " dimensions, a volume has three");
  HeaderFacts facts{{file}, {}};
  if (header.has("space directions")) {
    check_axes(file, numbers(header["space directions"]));
    if (!header.has("space"))
      facts.warnings.push_back(
          "no orientation in the header (its space is not named): left and right may be swapped");
  } else if (header.has("spacings")) {
    check_spacing(file, numbers(header["spacings"]));
    facts.warnings.push_back("no orientation in the header: left and right may be swapped");
  } else {
    facts.warnings.push_back("no voxel spacing in the header, 1 mm assumed");
  }
  fs::path data = file;
  std::uint64_t at = header.data_at;
  if (header.has("data file")) {
    if (header["data file"].find('%') != std::string::npos ||
        header["data file"].starts_with("LIST"))
      refuse(file, "voxels in several data files are not supported");
    data = data_file_beside(file, header["data file"]);
    facts.files.push_back(data);
    at = 0;
  }
  const auto skip = numbers(header["byte skip"]);
  const bool from_end = !skip.empty() && skip[0] == -1;
  if (gzip) {
    check_compressed(data, at, declared, facts);
  } else {
    const std::uint64_t before =
        from_end ? 0
                 : at + (skip.empty() || !(skip[0] > 0) ? 0 : static_cast<std::uint64_t>(skip[0]));
    const std::uint64_t on_disk = fs::file_size(data);
    check_length(data, declared,
                 from_end           ? std::min(on_disk, declared)
                 : on_disk > before ? on_disk - before
                                    : 0,
                 facts.warnings);
  }
  return facts;
}

HeaderFacts check_meta(const fs::path& file) {
  const TextHeader header = read_meta(file);
  if (!header.ended) refuse(file, "the MetaImage header names no data file");
  const int bytes = meta_voxel_bytes(file, header["elementtype"]);
  const auto sizes = sizes_of(file, header["dimsize"], header["ndims"]);
  const std::uint64_t declared = declared_bytes(file, sizes, bytes);
  if (sizes.size() < 3)
    refuse(file, std::to_string(sizes.size()) + " dimensions, a volume has three");
  if (header.has("elementnumberofchannels") && header["elementnumberofchannels"] != "1")
    refuse(file, "several values per voxel, a CT has one");
  HeaderFacts facts{{file}, {}};
  const std::string spacing =
      header.has("elementspacing") ? header["elementspacing"] : header["elementsize"];
  spacing.empty() ? facts.warnings.push_back("no voxel spacing in the header, 1 mm assumed")
                  : check_spacing(file, numbers(spacing));
  for (const char* key : {"transformmatrix", "orientation", "rotation"}) {
    if (header.has(key) && sizes.size() == 3) check_axes(file, numbers(header[key]));
  }
  const std::string name = header["elementdatafile"];
  fs::path data = file;
  std::uint64_t at = header.data_at;
  if (name.starts_with("LIST") || name.find('%') != std::string::npos)
    refuse(file, "voxels in several data files are not supported");
  if (name != "LOCAL") {
    data = data_file_beside(file, name);
    facts.files.push_back(data);
    at = 0;
  }
  std::string compressed = header["compresseddata"];
  const auto skip = numbers(header["headersize"]);
  if (!compressed.empty() &&
      (compressed[0] == 'T' || compressed[0] == 't' || compressed[0] == '1')) {
    check_compressed(data, at, declared, facts);
  } else {
    const std::uint64_t before =
        at + (skip.empty() || !(skip[0] > 0) ? 0 : static_cast<std::uint64_t>(skip[0]));
    const std::uint64_t on_disk = fs::file_size(data);
    check_length(data, declared, on_disk > before ? on_disk - before : 0, facts.warnings);
  }
  return facts;
}

}  // namespace homolog::import

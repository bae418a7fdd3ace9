#include "sharding/import/file_check.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "base/error.h"

namespace homolog::import {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{8} << 30;  // of one volume, as stored

bool starts(const std::string& text, std::string_view with) {
  return text.compare(0, with.size(), with) == 0;
}

bool is_nifti_head(const std::string& head) {
  if (head.size() < 4) return false;
  std::int32_t size = 0;
  std::memcpy(&size, head.data(), 4);
  const std::int32_t swapped =
      static_cast<std::int32_t>(__builtin_bswap32(static_cast<std::uint32_t>(size)));
  return size == 348 || swapped == 348 || size == 540 || swapped == 540;
}

// DICOM without the 128-byte preamble: an element of group 0008 (or 0002) with a believable length.
bool is_bare_dicom(const std::string& head) {
  if (head.size() < 132) return false;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(head[i]); };
  if ((byte(0) != 8 && byte(0) != 2) || byte(1) != 0 || byte(3) != 0 || byte(2) > 0x18)
    return false;
  const bool explicit_vr = std::isupper(byte(4)) && std::isupper(byte(5));
  const bool implicit_vr =
      byte(5) == 0 && byte(6) == 0 && byte(7) == 0 && byte(4) > 0 && byte(4) <= 64;
  return explicit_vr || implicit_vr;
}

bool is_meta_head(const std::string& head) {
  const bool text = starts(head, "ObjectType") || starts(head, "NDims") ||
                    starts(head, "Comment") || starts(head, "ObjectSubType");
  return text && head.find("NDims") != std::string::npos;
}

Kind kind_of(const std::string& head) {
  if (head.size() > 132 && head.compare(128, 4, "DICM") == 0) return Kind::Dicom;
  if (starts(head, "NRRD000")) return Kind::Nrrd;
  if (is_nifti_head(head)) return Kind::Nifti;
  if (is_meta_head(head)) return Kind::Meta;
  if (is_bare_dicom(head)) return Kind::Dicom;
  return Kind::Other;
}

std::string what_instead(const fs::path& file, const std::string& head) {
  std::error_code code;
  if (fs::file_size(file, code) == 0) return "the file is empty";
  if (starts(head, "version https://git-lfs"))
    return "a git-LFS pointer instead of the data: fetch it with git lfs pull";
  if (head.empty() || has_extension(file, {".gz"}) != is_gzip(file))
    return has_extension(file, {".gz"}) ? "not a readable gzip stream"
                                        : "it is a gzip stream of something else";
  return "the content is not that of a scan";
}

}  // namespace

bool named_like_volume(const fs::path& file) {
  return has_extension(file,
                       {".nii", ".nii.gz", ".hdr", ".hdr.gz", ".nrrd", ".nhdr", ".mha", ".mhd"});
}

bool named_like_scan(const fs::path& file) {
  return named_like_volume(file) || has_extension(file, {".dcm", ".dicom", ".ima"});
}

bool has_extension(const fs::path& file, std::initializer_list<const char*> extensions) {
  std::string name = file.filename().string();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](const char* e) { return name.ends_with(e); });
}

std::string head_of(const fs::path& file, std::size_t bytes) {
  std::unique_ptr<gzFile_s, int (*)(gzFile)> in(gzopen(file.c_str(), "rb"), gzclose);
  if (!in) throw Error(Fault::Data, file.string() + ": cannot be opened: " + std::strerror(errno));
  std::string head(bytes, '\0');
  const int read = gzread(in.get(), head.data(), static_cast<unsigned>(bytes));
  head.resize(static_cast<std::size_t>(std::max(read, 0)));
  return head;
}

Sniffed sniff(const fs::path& file) {
  Sniffed result;
  const std::string head = head_of(file, 4096);
  result.kind = kind_of(head);
  const bool pair_data = has_extension(file, {".img", ".img.gz", ".raw", ".zraw"});
  if (result.kind == Kind::Other && pair_data) {
    result.kind = Kind::DataPart;
    return result;
  }
  const bool named_nifti = has_extension(file, {".nii", ".nii.gz", ".hdr", ".hdr.gz"});
  const bool named_nrrd = has_extension(file, {".nrrd", ".nhdr"}),
             named_meta = has_extension(file, {".mha", ".mhd"});
  const bool named_dicom = has_extension(file, {".dcm", ".dicom", ".ima"});
  const bool named = named_nifti || named_nrrd || named_meta || named_dicom;
  if (result.kind == Kind::Other) {
    if (named) result.problem = "named like a scan, but " + what_instead(file, head);
    return result;
  }
  const bool agrees = (result.kind == Kind::Nifti && named_nifti) ||
                      (result.kind == Kind::Nrrd && named_nrrd) ||
                      (result.kind == Kind::Meta && named_meta) ||
                      (result.kind == Kind::Dicom && (named_dicom || !named));
  result.misnamed = !agrees;
  return result;
}

bool is_gzip(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return in.get() == 0x1f && in.get() == 0x8b;
}

Inflated inflate_check(const fs::path& file, std::uint64_t offset, std::uint64_t most) {
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset));
  std::vector<char> from(1 << 18), to(1 << 18);
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 32) != Z_OK) throw Error(Fault::Environment, "zlib cannot start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  Inflated result;
  bool ended = false;
  while (true) {
    if (stream.avail_in == 0) {
      in.read(from.data(), static_cast<std::streamsize>(from.size()));
      stream.avail_in = static_cast<unsigned>(in.gcount());
      stream.next_in = reinterpret_cast<Bytef*>(from.data());
      if (stream.avail_in == 0) break;
    }
    if (ended) {  // another gzip member, or junk
      if (stream.next_in[0] != 0x1f) {
        result.trailing = stream.avail_in;
        while (in.read(from.data(), static_cast<std::streamsize>(from.size())) || in.gcount() > 0)
          result.trailing += static_cast<std::uint64_t>(in.gcount());
        return result;
      }
      inflateReset(&stream);
      ended = false;
    }
    stream.next_out = reinterpret_cast<Bytef*>(to.data());
    stream.avail_out = static_cast<unsigned>(to.size());
    const int code = inflate(&stream, Z_NO_FLUSH);
    result.bytes += to.size() - stream.avail_out;
    if (result.bytes > most)
      throw Error(Fault::Data, file.string() + ": inflates to more than its header declares");
    if (code == Z_STREAM_END) {
      ended = true;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      throw Error(Fault::Data,
                  file.string() + ": compressed data are damaged (" +
                      (stream.msg ? stream.msg : "zlib error") + ")",
                  "fetch the file again");
    }
  }
  if (!ended)
    throw Error(Fault::Data,
                file.string() + ": the compressed stream ends early, the file is incomplete",
                "fetch the file again");
  return result;
}

std::uint64_t declared_bytes(const fs::path& file, const std::vector<std::int64_t>& sizes,
                             int voxel_bytes) {
  long double total = voxel_bytes;
  std::string shape;
  for (const std::int64_t size : sizes) {
    shape += (shape.empty() ? "" : " x ") + std::to_string(size);
    if (size == 0)
      throw Error(Fault::Data, file.string() + ": a dimension is zero (" +
                                   std::to_string(sizes.size()) + " dimensions)");
    if (size < 0)
      throw Error(Fault::Data,
                  file.string() + ": a dimension is negative (" + std::to_string(size) + ")");
    total *= static_cast<long double>(size);
  }
  if (total > static_cast<long double>(kMostBytes)) {
    throw Error(Fault::Data,
                file.string() + ": declares " + shape + " voxels, more than the limit of 8 GiB");
  }
  return static_cast<std::uint64_t>(total);
}

void check_length(const fs::path& file, std::uint64_t declared, std::uint64_t present,
                  std::vector<std::string>& warnings) {
  if (present > declared)
    warnings.push_back(std::to_string(present - declared) +
                       " bytes behind the voxels were ignored");
  if (present >= declared) return;
  const std::string pointer =
      starts(head_of(file, 64), "version https://git-lfs") ? "; it is a git-LFS pointer" : "";
  throw Error(Fault::Data,
              file.string() + ": shorter than its header says: " + std::to_string(present) +
                  " of " + std::to_string(declared) + " bytes of voxels" + pointer,
              "fetch the file again");
}

void check_ratio(const fs::path& file, std::uint64_t declared, std::uint64_t compressed) {
  if (declared / 1032 <= compressed) return;
  throw Error(Fault::Data, file.string() + ": " + std::to_string(compressed) +
                               " compressed bytes cannot hold the declared " +
                               std::to_string(declared));
}

fs::path data_file_beside(const fs::path& header, const std::string& name) {
  const fs::path relative(name);
  const bool leaves =
      relative.is_absolute() ||
      std::any_of(relative.begin(), relative.end(), [](const fs::path& p) { return p == ".."; });
  if (leaves)
    throw Error(Fault::Data,
                header.string() + ": its data file lies outside its folder (" + name + ")");
  const fs::path data = header.parent_path() / relative;
  if (!fs::is_regular_file(data))
    throw Error(Fault::Data, header.string() + ": its data file " + name + " is missing");
  return data;
}

}  // namespace homolog::import

// NIfTI-1 headers (nifti1.h of the NIfTI working group), read field by field at their fixed
// offsets.
#include <zlib.h>

#include <cmath>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "sharding/import/file_check.h"

namespace homolog::import {
namespace fs = std::filesystem;
namespace {

class Header {
 public:
  Header(fs::path file, std::string bytes) : file_(std::move(file)), bytes_(std::move(bytes)) {
    if (bytes_.size() < 348) refuse("shorter than a NIfTI header");
    std::int32_t size = 0;
    std::memcpy(&size, bytes_.data(), 4);
    swap_ = size != 348 && size != 540;
    if (size == 540 || __builtin_bswap32(static_cast<std::uint32_t>(size)) == 540)
      refuse("NIfTI-2, which is not supported: convert it to NIfTI-1");
  }
  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(Fault::Data, file_.string() + ": " + why);
  }
  std::int16_t i16(std::size_t at) const {
    std::uint16_t raw = 0;
    std::memcpy(&raw, bytes_.data() + at, 2);
    return static_cast<std::int16_t>(swap_ ? __builtin_bswap16(raw) : raw);
  }
  float f32(std::size_t at) const { return f32(bytes_.data() + at); }
  float f32(const char* at) const {
    std::uint32_t raw = 0;
    std::memcpy(&raw, at, 4);
    if (swap_) raw = __builtin_bswap32(raw);
    float value = 0;
    std::memcpy(&value, &raw, 4);
    return value;
  }
  double f64(const char* at) const {
    std::uint64_t raw = 0;
    std::memcpy(&raw, at, 8);
    if (swap_) raw = __builtin_bswap64(raw);
    double value = 0;
    std::memcpy(&value, &raw, 8);
    return value;
  }
  std::string magic() const { return std::string(bytes_.data() + 344, 3); }
  char units() const { return bytes_[123]; }

 private:
  fs::path file_;
  std::string bytes_;
  bool swap_ = false;
};

int voxel_bytes(const Header& header) {
  const int code = header.i16(70);
  switch (code) {
    case 2:
    case 256:
      return 1;
    case 4:
    case 512:
      return 2;
    case 8:
    case 16:
    case 768:
      return 4;
    case 64:
    case 1024:
    case 1280:
      return 8;
    case 32:
    case 1792:
    case 2048:
      header.refuse("complex voxels are not supported for CT");
    case 128:
    case 2304:
      header.refuse("colour voxels are not supported for CT");
    default:
      header.refuse("unknown voxel type code " + std::to_string(code));
  }
}

std::vector<std::int64_t> sizes_of(const Header& header) {
  const int dimensions = header.i16(40);
  if (dimensions < 1 || dimensions > 7)
    header.refuse("declares " + std::to_string(dimensions) + " dimensions");
  std::vector<std::int64_t> sizes;
  for (int i = 1; i <= dimensions; ++i)
    sizes.push_back(header.i16(40 + 2 * static_cast<std::size_t>(i)));
  return sizes;
}

void check_affine(const Header& header, std::vector<std::string>& warnings) {
  const bool sform = header.i16(254) > 0, qform = header.i16(252) > 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const float step = header.f32(80 + 4 * i);
    if (!std::isfinite(step)) header.refuse("voxel spacing is not a number");
    if (step == 0) header.refuse("voxel spacing must be above zero");
    if (step < 0 && !sform && !qform) header.refuse("negative voxel spacing");
    if (step < 0) warnings.push_back("negative voxel spacing in the header, its size taken");
  }
  if (sform) {
    double m[9];
    for (std::size_t row = 0; row < 3; ++row) {
      for (std::size_t column = 0; column < 3; ++column)
        m[row * 3 + column] = header.f32(280 + 16 * row + 4 * column);
      if (!std::isfinite(header.f32(280 + 16 * row + 12)))
        header.refuse("the affine is not finite");
    }
    const double det = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
                       m[2] * (m[3] * m[7] - m[4] * m[6]);
    if (!(std::abs(det) > 1e-9)) header.refuse("the affine is singular");
  }
  if (!sform && !qform)
    warnings.push_back(
        "no orientation in the header (sform and qform codes are 0): left and right may be "
        "swapped");
}

struct VoxelsAt {
  fs::path file;
  std::uint64_t before;  // bytes in front of them
};

VoxelsAt voxels_at(const fs::path& file, const Header& header) {
  const auto offset = static_cast<std::uint64_t>(header.f32(108));
  if (header.magic() != "ni1") return {file, std::max<std::uint64_t>(352, offset)};
  fs::path data = file;
  data.replace_extension(".img");
  if (!fs::is_regular_file(data)) data += ".gz";
  if (!fs::is_regular_file(data)) header.refuse("the .img file of the pair is missing");
  return {data, offset};
}

void check_scaling(const Header& header, std::vector<std::string>& warnings) {
  if (!std::isfinite(header.f32(112)) || !std::isfinite(header.f32(116)))
    header.refuse("the scaling (scl_slope, scl_inter) is not finite");
  const int bits = header.i16(72);
  if (bits != 8 * voxel_bytes(header))
    warnings.push_back("bitpix " + std::to_string(bits) +
                       " contradicts the voxel type; the type was used");
  const int unit = header.units() & 7;
  if (unit == 3) warnings.push_back("units are micrometres; converted to mm");
  if (unit == 1) warnings.push_back("units are metres; converted to mm");
}

}  // namespace

// Spacing in mm from the affine where there is one; the rest of the grid is not told.
Grid nifti_grid(const fs::path& file) {
  const Header header(file, head_of(file, 352));
  const int unit = header.units() & 7;
  const double to_mm = unit == 1 ? 1000 : unit == 3 ? 0.001 : 1;
  double spacing[3], origin[3];
  const bool sform = header.i16(254) > 0;
  for (std::size_t i = 0; i < 3; ++i) {
    spacing[i] = std::abs(header.f32(80 + 4 * i)) * to_mm;
    origin[i] = header.f32((sform ? 292 + 16 * i : 268 + 4 * i)) * to_mm;
    if (sform)
      spacing[i] =
          std::hypot(header.f32(280 + 4 * i), header.f32(296 + 4 * i), header.f32(312 + 4 * i)) *
          to_mm;
  }
  Grid grid;
  grid.size = {1, 1, 1};
  grid.spacing = {spacing[0], spacing[1], spacing[2]};
  grid.origin = {origin[0], origin[1], origin[2]};
  return grid;
}

void for_each_not_finite(const fs::path& file, const std::function<void(std::uint64_t)>& found) {
  const Header header(file, head_of(file, 352));
  const int code = header.i16(70);
  if (code != 16 && code != 64) return;
  const auto [data, before] = voxels_at(file, header);
  const std::size_t bytes = code == 16 ? 4 : 8;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> in(gzopen(data.c_str(), "rb"), gzclose);
  if (!in || gzseek(in.get(), static_cast<z_off_t>(before), SEEK_SET) < 0) return;
  std::vector<char> block(1 << 18);
  std::uint64_t voxel = 0;
  for (int read;
       (read = gzread(in.get(), block.data(), static_cast<unsigned>(block.size()))) > 0;) {
    for (std::size_t at = 0; at + bytes <= static_cast<std::size_t>(read); at += bytes, ++voxel) {
      const char* value = block.data() + at;
      if (!std::isfinite(bytes == 4 ? header.f32(value) : header.f64(value))) found(voxel);
    }
  }
}

HeaderFacts check_nifti(const fs::path& file) {
  const Header header(file, head_of(file, 352));
  const std::string magic = header.magic();
  if (magic != "n+1" && magic != "ni1")
    header.refuse("bad NIfTI magic (an ANALYZE header has no orientation)");
  const int bytes = voxel_bytes(header);
  const auto sizes = sizes_of(header);
  const std::uint64_t declared = declared_bytes(file, sizes, bytes);
  if (sizes.size() < 3)
    header.refuse(std::to_string(sizes.size()) + " dimensions, a volume has three");
  for (std::size_t i = 3; i < sizes.size(); ++i) {
    if (sizes[i] != 1) header.refuse("several volumes in one file");
  }
  const float offset = header.f32(108);
  if (!std::isfinite(offset) || offset < 0 || offset > 1e9F)
    header.refuse("the voxel offset (vox_offset) is not a valid number");
  HeaderFacts facts{{file}, {}};
  check_affine(header, facts.warnings);
  check_scaling(header, facts.warnings);
  const auto [data, before] = voxels_at(file, header);
  if (data != file) facts.files.push_back(data);
  const std::uint64_t on_disk = fs::file_size(data);
  std::uint64_t present = on_disk;
  if (is_gzip(data)) {
    check_ratio(data, declared, on_disk);
    const Inflated inflated = inflate_check(data, 0, declared + before + (64U << 20));
    present = inflated.bytes;
    if (inflated.trailing > 0)
      facts.warnings.push_back(std::to_string(inflated.trailing) +
                               " bytes behind the gzip stream were ignored");
  }
  check_length(data, declared, present > before ? present - before : 0, facts.warnings);
  return facts;
}

}  // namespace homolog::import

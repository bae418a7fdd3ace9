// Pixels of a stacked series through GDCM (the DICOM part of ITK), rescaled with each slice's own
// numbers. ITK's own image class would apply one slope to a whole multi-frame file.
#include <gdcmImageReader.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <new>

#include "base/error.h"
#include "sharding/import/dicom_slice.h"
#include "sharding/import/scan_reader.h"

namespace homolog::import {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{8} << 30;  // of one file, decoded

// Before GDCM allocates: do the declared pixels fit into the file?
void check_declared(const DicomSlice& slice) {
  const std::string name = slice.file.string();
  if (slice.samples != 1)
    throw Error(Fault::Data, name + ": " + std::to_string(slice.samples) +
                                 " samples per pixel (colour), a CT has one");
  if (slice.bits != 8 && slice.bits != 16 && slice.bits != 32) {
    throw Error(Fault::Data,
                name + ": " + std::to_string(slice.bits) + " bits per pixel are not supported");
  }
  const std::int64_t declared =
      std::int64_t{slice.rows} * slice.columns * (slice.bits / 8) * slice.frames;
  std::error_code code;
  const auto present = static_cast<std::int64_t>(std::filesystem::file_size(slice.file, code));
  if (code) throw Error(Fault::Data, name + " cannot be reached: " + code.message());
  if ((!slice.compressed && declared > present) || declared > kMostBytes ||
      declared / 2000 > present) {
    throw Error(Fault::Data, name + ": pixel data too short for " + std::to_string(slice.columns) +
                                 " x " + std::to_string(slice.rows) + " x " +
                                 std::to_string(slice.frames) + " (" + std::to_string(present) +
                                 " bytes in the file)");
  }
}

// The header promises compressed fragments; GDCM would read anything else as raw pixels, in
// silence.
bool fragments_are_there(const gdcm::ImageReader& reader) {
  const gdcm::DataElement& pixels =
      reader.GetFile().GetDataSet().GetDataElement(gdcm::Tag(0x7fe0, 0x0010));
  return pixels.GetSequenceOfFragments() != nullptr;
}

// Some JPEG 2000 streams call themselves unsigned though the header says two's complement of fewer
// bits: the header is right. Values whose sign is there already do not change.
void extend_sign(std::vector<char>& bytes, int bits_stored) {
  const int shift = 16 - bits_stored;
  for (std::size_t at = 0; at + 2 <= bytes.size(); at += 2) {
    std::uint16_t value = 0;
    std::memcpy(&value, bytes.data() + at, 2);
    const auto extended = static_cast<std::int16_t>(
        static_cast<std::int16_t>(static_cast<std::uint16_t>(value << shift)) >> shift);
    std::memcpy(bytes.data() + at, &extended, 2);
  }
}

struct Decoded {
  gdcm::PixelFormat::ScalarType type = gdcm::PixelFormat::UNKNOWN;
  std::vector<char> bytes;
};

Decoded decode(const DicomSlice& slice) {
  check_declared(slice);
  const std::string failure = slice.file.string() + ": cannot decode the pixel data";
  const std::string remedy = "is the file whole, and is its transfer syntax what the header says?";
  gdcm::ImageReader reader;
  reader.SetFileName(slice.file.c_str());
  Decoded decoded;
  try {
    errno = 0;
    if (!reader.Read()) {
      if (errno == ENOMEM) throw std::bad_alloc();
      throw Error(Fault::Data, failure, remedy);
    }
    if (slice.compressed && !fragments_are_there(reader))
      throw Error(Fault::Data, failure + ": it is not compressed as the header says", remedy);
    const gdcm::Image& image = reader.GetImage();
    decoded.bytes.resize(image.GetBufferLength());
    if (!image.GetBuffer(decoded.bytes.data())) throw Error(Fault::Data, failure, remedy);
    decoded.type = image.GetPixelFormat().GetScalarType();
    const std::size_t voxels = static_cast<std::size_t>(slice.rows) * slice.columns * slice.frames;
    if (decoded.bytes.size() != voxels * image.GetPixelFormat().GetPixelSize())
      throw Error(Fault::Data, failure, remedy);
    const bool sixteen = image.GetPixelFormat().GetPixelSize() == 2;
    if (slice.is_signed && sixteen && slice.bits_stored > 0 && slice.bits_stored <= 16) {
      extend_sign(decoded.bytes, slice.bits_stored);
      decoded.type = gdcm::PixelFormat::INT16;
    }
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& problem) {
    throw Error(Fault::Data, failure + ": " + problem.what(), remedy);
  }
  return decoded;
}

template <class Stored>
void rescale(const Decoded& decoded, const DicomSlice& slice, std::int16_t* out, Misfits& misfits) {
  const std::size_t count = static_cast<std::size_t>(slice.rows) * slice.columns;
  const Stored* stored = reinterpret_cast<const Stored*>(decoded.bytes.data()) +
                         count * static_cast<std::size_t>(slice.frame);
  for (std::size_t i = 0; i < count; ++i) {
    out[i] =
        to_hu(static_cast<float>(slice.slope * static_cast<double>(stored[i]) + slice.intercept),
              misfits);
  }
}

void rescale_any(const Decoded& decoded, const DicomSlice& slice, std::int16_t* out,
                 Misfits& misfits) {
  switch (decoded.type) {
    case gdcm::PixelFormat::UINT8:
      return rescale<std::uint8_t>(decoded, slice, out, misfits);
    case gdcm::PixelFormat::INT8:
      return rescale<std::int8_t>(decoded, slice, out, misfits);
    case gdcm::PixelFormat::UINT12:
    case gdcm::PixelFormat::UINT16:
      return rescale<std::uint16_t>(decoded, slice, out, misfits);
    case gdcm::PixelFormat::INT12:
    case gdcm::PixelFormat::INT16:
      return rescale<std::int16_t>(decoded, slice, out, misfits);
    case gdcm::PixelFormat::UINT32:
      return rescale<std::uint32_t>(decoded, slice, out, misfits);
    case gdcm::PixelFormat::INT32:
      return rescale<std::int32_t>(decoded, slice, out, misfits);
    default:
      throw Error(Fault::Data, slice.file.string() + ": pixel type not supported for CT");
  }
}

}  // namespace

void try_dicom(const std::filesystem::path& file) {
  const DicomSlice first = read_dicom_header(file).front();
  if (first.has_pixels && (first.modality.empty() || first.modality == "CT")) decode(first);
}

ReadScan read_dicom(const std::vector<std::filesystem::path>& files) {
  std::vector<DicomSlice> slices;
  for (const auto& file : files) {
    for (DicomSlice& slice : read_dicom_header(file)) slices.push_back(std::move(slice));
  }
  return read_dicom(std::move(slices));
}

ReadScan read_dicom(std::vector<DicomSlice> slices) {
  for (const DicomSlice& slice : slices) check_declared(slice);
  SliceStack stack = stack_slices(std::move(slices));
  ReadScan result;
  result.scan.grid = stack.grid;
  result.warnings = std::move(stack.warnings);
  result.eight_bit = stack.slices.front().bits == 8;
  const std::size_t plane = static_cast<std::size_t>(stack.grid.size.x * stack.grid.size.y);
  result.scan.hu.resize(plane * stack.slices.size());
  Misfits misfits;
  // A multi-frame file is decoded once, when its first frame comes up, and dropped after its last.
  std::map<std::filesystem::path, std::pair<std::shared_ptr<Decoded>, int>> open;
  for (std::size_t i = 0; i < stack.slices.size(); ++i) {
    const DicomSlice& slice = stack.slices[i];
    if (result.files.empty() || result.files.back() != slice.file)
      result.files.push_back(slice.file);
    auto& [decoded, used] = open[slice.file];
    if (!decoded) decoded = std::make_shared<Decoded>(decode(slice));
    rescale_any(*decoded, slice, result.scan.hu.data() + i * plane, misfits);
    if (++used == slice.frames) open.erase(slice.file);
  }
  judge(misfits, stack.grid.voxels(), stack.slices.front().file.string(), result.warnings);
  return result;
}

}  // namespace homolog::import

// NIfTI, NRRD and MetaImage through ITK. The IO object is set by hand, so no global factory exists.
#include <itkImage.h>
#include <itkImageFileReader.h>
#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>
#include <nifti1_io.h>

#include <cerrno>
#include <cmath>
#include <limits>
#include <new>

#include "base/atomic_file.h"
#include "base/error.h"
#include "sharding/import/file_check.h"
#include "sharding/import/plausible.h"
#include "sharding/import/scan_reader.h"

namespace homolog::import {
namespace {

using Image = itk::Image<float, 3>;

itk::ImageIOBase::Pointer io_for(const std::string& format) {
  if (format == "nifti") return itk::NiftiImageIO::New().GetPointer();
  if (format == "nrrd") return itk::NrrdImageIO::New().GetPointer();
  return itk::MetaImageIO::New().GetPointer();
}

// ITK's readers go by the extension. A file whose name says something else is read through a link
// with the right one, for as long as this lives.
class ProperName {
 public:
  ProperName(const std::filesystem::path& file, const std::string& format) : name_(file) {
    if (format == "nifti" && !has_extension(file, {".nii", ".nii.gz", ".hdr", ".hdr.gz"})) {
      link(file, is_gzip(file) ? ".nii.gz" : ".nii");
    } else if (format == "nifti" && has_extension(file, {".nii", ".nii.gz"}) &&
               is_gzip(file) != has_extension(file, {".gz"})) {
      link(file, is_gzip(file) ? ".nii.gz" : ".nii");
    } else if (format == "nrrd" && !has_extension(file, {".nrrd", ".nhdr"})) {
      link(file, ".nrrd");
    } else if (format == "meta" && !has_extension(file, {".mha", ".mhd"})) {
      link(file, ".mha");
    }
  }
  ~ProperName() {
    std::error_code ignored;
    if (linked_) std::filesystem::remove(name_, ignored);
  }
  ProperName(const ProperName&) = delete;
  ProperName& operator=(const ProperName&) = delete;
  const std::filesystem::path& path() const { return name_; }

 private:
  void link(const std::filesystem::path& file, const std::string& extension) {
    name_ = temporary_beside(std::filesystem::temp_directory_path() / "homolog-scan").string() +
            extension;
    std::filesystem::create_symlink(std::filesystem::absolute(file), name_);
    linked_ = true;
  }
  std::filesystem::path name_;
  bool linked_ = false;
};

// What ITK would otherwise read silently: a movie's first frame, a vector's first component.
void check_shape(const itk::ImageIOBase& io, const std::string& name) {
  if (io.GetNumberOfComponents() != 1) {
    throw Error(Fault::Data, name + ": " + std::to_string(io.GetNumberOfComponents()) +
                                 " values per voxel, a CT has one");
  }
  if (io.GetNumberOfDimensions() < 3) {
    throw Error(Fault::Data, name + ": " + std::to_string(io.GetNumberOfDimensions()) +
                                 " dimensions, a volume has three");
  }
  for (unsigned axis = 3; axis < io.GetNumberOfDimensions(); ++axis) {
    if (io.GetDimensions(axis) > 1)
      throw Error(Fault::Data, name + ": several volumes in one file",
                  "split it into one file a volume");
  }
}

Grid grid_of(const Image& image) {
  Grid grid;
  const auto size = image.GetLargestPossibleRegion().GetSize();
  grid.size = {static_cast<std::int64_t>(size[0]), static_cast<std::int64_t>(size[1]),
               static_cast<std::int64_t>(size[2])};
  grid.spacing = {image.GetSpacing()[0], image.GetSpacing()[1], image.GetSpacing()[2]};
  grid.origin = {image.GetOrigin()[0], image.GetOrigin()[1], image.GetOrigin()[2]};
  for (unsigned row = 0; row < 3; ++row) {
    for (unsigned column = 0; column < 3; ++column)
      grid.direction[row * 3 + column] = image.GetDirection()(row, column);
  }
  return grid;
}

}  // namespace

void quiet_itk() {
  static const bool once = [] {
    nifti_set_debug_level(0);
    itk::Object::GlobalWarningDisplayOff();
    return true;
  }();
  static_cast<void>(once);
}

std::int16_t to_hu(float value, Misfits& misfits) noexcept {
  if (!std::isfinite(value)) {
    ++misfits.not_finite;
    return kAirHu;
  }
  misfits.outside += value < -32768.5F || value > 32767.5F;
  return static_cast<std::int16_t>(std::lround(std::fmin(std::fmax(value, -32768.0F), 32767.0F)));
}

void judge(const Misfits& misfits, std::int64_t voxels, const std::string& name,
           std::vector<std::string>& warnings) {
  const std::string outside = std::to_string(misfits.outside) + " of " + std::to_string(voxels) +
                              " voxels lie outside -32768..32767 HU";
  if (misfits.outside * 100 > voxels)
    throw Error(Fault::Data, name + ": " + outside + ": wrong scaling, or not a CT");
  if (misfits.outside > 0) warnings.push_back(outside + ", clipped");
  if (misfits.not_finite > 0)
    warnings.push_back(std::to_string(misfits.not_finite) +
                       " voxels are not numbers (NaN or infinite), taken as air");
}

namespace {

// The NIfTI library turns what is no number into 0, which would be water.
void restore_not_finite(const std::filesystem::path& file, Image& image) {
  float* values = image.GetBufferPointer();
  const std::uint64_t voxels = image.GetLargestPossibleRegion().GetNumberOfPixels();
  for_each_not_finite(file, [&](std::uint64_t voxel) {
    if (voxel < voxels) values[voxel] = std::numeric_limits<float>::quiet_NaN();
  });
}

void take(const Image& image, const std::string& name, ReadScan& result) {
  Scan& scan = result.scan;
  scan.grid = grid_of(image);
  if (!is_orthonormal(scan.grid.direction)) {
    throw Error(Fault::Data,
                name + ": the axes are not at right angles (sheared or singular directions)");
  }
  scan.grid.direction = orthonormalised(scan.grid.direction);
  Misfits misfits;
  scan.hu.resize(static_cast<std::size_t>(scan.grid.voxels()));
  const float* values = image.GetBufferPointer();
  for (std::int16_t& hu : scan.hu) hu = to_hu(*values++, misfits);
  judge(misfits, scan.grid.voxels(), name, result.warnings);
}

// ITK's message without its own object and the name of our link.
std::string plain(std::string text) {
  for (const char* noise : {"ITK ERROR: ", "(0x"}) {
    const auto at = text.find(noise);
    const auto end = at == std::string::npos ? at : text.find("): ", at);
    if (end != std::string::npos) text = text.substr(end + 3);
  }
  return text.find("homolog-scan.tmp") == std::string::npos ? text : "not what its header says";
}

std::string why_not_a_grid(const std::filesystem::path& file, const std::string& format) {
  const std::string why = format == "nifti" ? geometry_refusal(nifti_grid(file)) : "";
  return why.empty() ? "the axes are not at right angles (sheared)" : why;
}

}  // namespace

ReadScan read_image_file(const std::filesystem::path& file, const std::string& format) {
  const std::string name = file.string();
  quiet_itk();
  ReadScan result;
  errno = 0;
  try {
    const ProperName proper(file, format);
    const itk::ImageIOBase::Pointer io = io_for(format);
    io->SetFileName(proper.path().string());
    io->ReadImageInformation();
    check_shape(*io, name);
    result.eight_bit = io->GetComponentSize() == 1;
    auto reader = itk::ImageFileReader<Image>::New();
    reader->SetImageIO(io);
    reader->SetFileName(proper.path().string());
    reader->Update();
    if (format == "nifti") restore_not_finite(file, *reader->GetOutput());
    take(*reader->GetOutput(), name, result);
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const itk::MemoryAllocationError&) {
    throw std::bad_alloc();
  } catch (const itk::ExceptionObject& problem) {
    if (errno == ENOMEM) throw std::bad_alloc();  // the C library below says no more than "failed"
    if (std::string(problem.GetDescription()).find("orthonormal") != std::string::npos)
      throw Error(Fault::Data, name + ": " + why_not_a_grid(file, format));
    throw Error(Fault::Data,
                name + ": cannot be read as " + format + ": " + plain(problem.GetDescription()));
  } catch (const std::exception& problem) {
    throw Error(Fault::Data, name + ": cannot be read as " + format + ": " + problem.what());
  }
  return result;
}

}  // namespace homolog::import

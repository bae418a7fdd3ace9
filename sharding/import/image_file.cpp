// NIfTI, NRRD and MetaImage through ITK. The IO object is set by hand, so no global factory exists.
#include <itkImage.h>
#include <itkImageFileReader.h>
#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>
#include <nifti1_io.h>

#include <cmath>

#include "base/atomic_file.h"
#include "base/error.h"
#include "sharding/import/file_check.h"
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

std::int16_t to_hu(float value, std::int64_t& not_finite) noexcept {
  if (!std::isfinite(value)) {
    ++not_finite;
    return -1024;
  }
  return static_cast<std::int16_t>(std::lround(std::fmin(std::fmax(value, -32768.0F), 32767.0F)));
}

ReadScan read_image_file(const std::filesystem::path& file, const std::string& format) {
  const std::string name = file.string();
  quiet_itk();
  ReadScan result;
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
    const Image& image = *reader->GetOutput();
    Scan& scan = result.scan;
    scan.grid = grid_of(image);
    if (!is_orthonormal(scan.grid.direction)) {
      throw Error(Fault::Data,
                  name + ": the axes are not at right angles (sheared or singular directions)");
    }
    scan.grid.direction = orthonormalised(scan.grid.direction);
    std::int64_t not_finite = 0;
    scan.hu.resize(static_cast<std::size_t>(scan.grid.voxels()));
    const float* values = image.GetBufferPointer();
    for (std::int16_t& hu : scan.hu) hu = to_hu(*values++, not_finite);
    if (not_finite > 0)
      result.warnings.push_back(std::to_string(not_finite) +
                                " voxels are not numbers, taken as air");
  } catch (const Error&) {
    throw;
  } catch (const itk::ExceptionObject& problem) {
    throw Error(Fault::Data,
                name + ": cannot be read as " + format + ": " + problem.GetDescription());
  } catch (const std::exception& problem) {
    throw Error(Fault::Data, name + ": cannot be read as " + format + ": " + problem.what());
  }
  return result;
}

}  // namespace homolog::import

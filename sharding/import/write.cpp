// Volumes and label maps out, through ITK. ITK picks encodings by extension, so the temporary
// name keeps it; the final name appears by rename.
#include <fcntl.h>
#include <itkImage.h>
#include <itkImageFileWriter.h>
#include <itkImportImageFilter.h>
#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "sharding/import/file_check.h"
#include "sharding/import/load.h"
#include "sharding/import/scan_reader.h"

namespace homolog::import {
namespace {

std::string scan_extension(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  for (const char* extension : {".nii.gz", ".nii", ".mha", ".nrrd"}) {
    if (name.ends_with(extension)) return extension;
  }
  throw Error(Fault::Usage, "cannot write " + file.string() + ": unknown extension",
              "use .nii.gz, .nii, .mha or .nrrd");
}

itk::ImageIOBase::Pointer io_for(const std::string& extension) {
  if (extension == ".mha") return itk::MetaImageIO::New().GetPointer();
  if (extension == ".nrrd") return itk::NrrdImageIO::New().GetPointer();
  return itk::NiftiImageIO::New().GetPointer();
}

template <class Pixel>
typename itk::Image<Pixel, 3>::Pointer image_over(const Grid& grid,
                                                  const std::vector<Pixel>& voxels) {
  using Image = itk::Image<Pixel, 3>;
  auto import = itk::ImportImageFilter<Pixel, 3>::New();
  typename Image::RegionType region;
  region.SetSize(
      {{static_cast<itk::SizeValueType>(grid.size.x), static_cast<itk::SizeValueType>(grid.size.y),
        static_cast<itk::SizeValueType>(grid.size.z)}});
  import->SetRegion(region);
  const double spacing[3] = {grid.spacing.x, grid.spacing.y, grid.spacing.z};
  const double origin[3] = {grid.origin.x, grid.origin.y, grid.origin.z};
  import->SetSpacing(spacing);
  import->SetOrigin(origin);
  typename Image::DirectionType direction;
  for (unsigned row = 0; row < 3; ++row) {
    for (unsigned column = 0; column < 3; ++column)
      direction(row, column) = grid.direction[row * 3 + column];
  }
  import->SetDirection(direction);
  // The writer only reads; ITK has no const import.
  import->SetImportPointer(const_cast<Pixel*>(voxels.data()), voxels.size(), false);
  import->Update();
  return import->GetOutput();
}

// What the system says to a write at the end of `file`; 0 when it takes it.
int errno_of_writing(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) return errno;
  const std::vector<char> block(1 << 20);
  const ssize_t written = ::write(descriptor, block.data(), block.size());
  int code = written < 0 ? errno : 0;
  if (written >= 0 && written < std::ssize(block))  // the rest tells why
    code = ::write(descriptor, block.data(), 1) < 0 ? errno : 0;
  ::close(descriptor);
  return code;
}

// ITK's NIfTI writer does not report failures: the file is held against its own header.
void check_written(const std::filesystem::path& scratch, const std::string& extension) {
  extension == ".mha"    ? check_meta(scratch)
  : extension == ".nrrd" ? check_nrrd(scratch)
                         : check_nifti(scratch);
}

[[noreturn]] void fail(const std::filesystem::path& file, const std::filesystem::path& scratch,
                       const std::string& problem) {
  const int code = errno_of_writing(scratch);
  std::error_code ignored;
  std::filesystem::remove(scratch, ignored);
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  const std::string why =
      code == 0 ? problem : (full ? "no space left: " : "") + std::string(std::strerror(code));
  throw Error(Fault::Environment, "cannot write " + file.string() + ": " + why,
              full ? "free space there, or choose another disk"
                   : "check that the folder exists, is writable and has space");
}

template <class Pixel>
void write(const Grid& grid, const std::vector<Pixel>& voxels, const std::filesystem::path& file) {
  const std::string extension = scan_extension(file);
  if (static_cast<std::int64_t>(voxels.size()) != grid.voxels()) {
    throw Error(Fault::Data, "cannot write " + file.string() + ": " +
                                 std::to_string(voxels.size()) + " voxels for a grid of " +
                                 std::to_string(grid.voxels()));
  }
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  if (!std::filesystem::is_directory(folder)) {
    throw Error(Fault::Environment, "cannot write " + file.string() + ": no such folder",
                "make the folder first");
  }
  quiet_itk();
  PendingPath pending(file);
  const std::filesystem::path scratch = pending.temporary().string() + extension;
  try {
    auto writer = itk::ImageFileWriter<itk::Image<Pixel, 3>>::New();
    writer->SetImageIO(io_for(extension));
    writer->SetFileName(scratch.string());
    writer->SetInput(image_over(grid, voxels));
    writer->SetUseCompression(extension != ".nii");
    writer->Update();
    check_written(scratch, extension);
    std::filesystem::rename(scratch, pending.temporary());
  } catch (const std::exception& problem) {
    fail(file, scratch, problem.what());
  }
  pending.publish();
}

}  // namespace

void write_volume(const Volume& volume, const std::filesystem::path& file) {
  write(volume.grid, volume.hu, file);
}

void write_labels(const Grid& grid, const std::vector<std::uint8_t>& labels,
                  const std::filesystem::path& file) {
  write(grid, labels, file);
}

}  // namespace homolog::import

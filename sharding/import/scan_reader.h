// The voxels of one scan as its files have them: HU, the file's own index axes. Inside
// sharding/import only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sharding/import/dicom_slice.h"
#include "sharding/import/orientation.h"

namespace homolog::import {

struct ReadScan {
  Scan scan;                                 // original axes
  std::vector<std::string> warnings;         // what the user must know though it could be read
  std::vector<std::filesystem::path> files;  // DICOM: in slice order
  bool eight_bit = false;                    // stored in 8 bits: HU cannot have fitted
};

// `format`: "nifti", "nrrd", "meta". Through ITK. Throws Fault::Data naming the file.
ReadScan read_image_file(const std::filesystem::path& file, const std::string& format);

// One volume from the DICOM files of one series, sorted by position along the slice normal,
// rescaled slice by slice. Throws Fault::Data: no positions, a gap, two slices at one place, tilt,
// not decodable.
ReadScan read_dicom(const std::vector<std::filesystem::path>& files);
ReadScan read_dicom(std::vector<DicomSlice> slices);  // whose headers have been read already

// Reads header and, of a CT, pixels, and keeps nothing: to see in a child whether the reader
// survives.
void try_dicom(const std::filesystem::path& file);

// The libraries behind ITK print to stderr; what went wrong comes as an error anyway. Thread-safe.
void quiet_itk();

// What did not fit into HU: what became air, and what was clamped to int16.
struct Misfits {
  std::int64_t not_finite = 0, outside = 0;
};
// Nearest integer, clamped to int16.
std::int16_t to_hu(float value, Misfits& misfits) noexcept;
// Warns of misfits. Throws Fault::Data where more than 1 % of `voxels` lie outside int16.
void judge(const Misfits& misfits, std::int64_t voxels, const std::string& name,
           std::vector<std::string>& warnings);

}  // namespace homolog::import

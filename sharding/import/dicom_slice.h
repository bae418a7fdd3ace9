// What a DICOM file's header says of each of its slices, and how slices stack to a volume.
// Inside sharding/import only. What tells the patient is read for the keyed hash alone.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "volume/grid.h"

namespace homolog::import {

struct DicomSlice {
  std::filesystem::path file;
  int frame = 0, frames = 1;     // 0-based, and how many the file holds
  std::string series, instance;  // UIDs: for grouping and the keyed hash only
  std::string subject;           // patient or study: for the keyed hash only, empty when unknown
  std::string modality, sop_class, image_type;
  bool compressed = false;  // encapsulated transfer syntax
  int rows = 0, columns = 0, samples = 1, bits = 16, bits_stored = 16;
  bool is_signed = false;  // two's complement of bits_stored
  bool has_pixels = false;
  bool has_place = false;               // position and orientation are there
  Point3 position;                      // LPS mm of the first pixel's centre
  std::array<double, 6> orientation{};  // direction of increasing column, then of increasing row
  bool has_spacing = false;
  double column_mm = 1, row_mm = 1;  // step between columns (x), between rows (y)
  double thickness_mm = 0;           // 0 when not given
  double slope = 1, intercept = 0;
};

// Builds GDCM's dictionaries, which are global, and silences its own messages. Thread-safe.
void prepare_dicom();

// One entry per frame. Throws Fault::Data when the file is not readable as DICOM.
std::vector<DicomSlice> read_dicom_header(const std::filesystem::path& file);

struct SliceStack {
  Grid grid;                       // index x along columns, y along rows, z along the normal
  std::vector<DicomSlice> slices;  // sorted by position along the normal
  std::vector<std::string> warnings;
};

// Sorts by position, never by name or instance number, and checks: same size and orientation, even
// steps, no two slices at one place, no tilt (slices that step sideways). Throws Fault::Data.
SliceStack stack_slices(std::vector<DicomSlice> slices);

}  // namespace homolog::import

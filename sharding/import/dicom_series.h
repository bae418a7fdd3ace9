// DICOM files -> series: by SeriesInstanceUID and geometry, never by folder or file name alone.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sharding/import/dicom_slice.h"

namespace homolog::import {

struct DicomSeries {
  std::vector<std::filesystem::path> files;  // of the slices to read
  std::vector<DicomSlice> slices;            // of those files
  std::string identity;  // UID and geometry: goes into the keyed hash, never out
  std::string subject;   // patient or study, the same way; empty when unknown
  std::string refusal;   // not empty: no CT can come of it
  std::vector<std::string> warnings;
};

// `headers`: the slices of each file. Files of one series in several folders make one volume unless
// they overlap (then they are copies, and each folder stands for itself).
std::vector<DicomSeries> group_series(std::vector<std::vector<DicomSlice>> headers);

}  // namespace homolog::import

// What a scan file is by its content, and whether its header can be true: sizes are compared with
// the file before any reader allocates, so that a broken or hostile header costs neither memory nor
// time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "volume/grid.h"

namespace homolog::import {

enum class Kind { Dicom, Nifti, Nrrd, Meta, DataPart, Other };

struct Sniffed {
  Kind kind = Kind::Other;
  std::string problem;    // not empty: named like a scan, but it cannot be one
  bool misnamed = false;  // content and extension disagree
};
// Opens regular files only. Throws Fault::Data when the file cannot be opened.
Sniffed sniff(const std::filesystem::path& file);

struct HeaderFacts {
  std::vector<std::filesystem::path> files;  // the header, then its data file where that is apart
  std::vector<std::string> warnings;
};
// Each throws Fault::Data with the reason. They read headers, and inflate compressed data once
// without keeping it, because the libraries behind ITK fill a torn stream with zeros in silence.
HeaderFacts check_nifti(const std::filesystem::path& file);
// Spacing and origin (LPS or RAS) that a NIfTI header states, in mm, also where no grid comes of
// it.
Grid nifti_grid(const std::filesystem::path& file);
// Calls `found` with the index of each NaN or infinite voxel of a NIfTI of floating point numbers.
void for_each_not_finite(const std::filesystem::path& file,
                         const std::function<void(std::uint64_t)>& found);
HeaderFacts check_nrrd(const std::filesystem::path& file);
HeaderFacts check_meta(const std::filesystem::path& file);

// ---- shared by the checks --------------------------------------------------------------------

// The first `bytes` of a file, inflated when it is gzip.
std::string head_of(const std::filesystem::path& file, std::size_t bytes);

bool is_gzip(const std::filesystem::path& file);  // by its first two bytes

struct Inflated {
  std::uint64_t bytes = 0;     // after inflating
  std::uint64_t trailing = 0;  // bytes behind the stream that do not belong to it
};
// Inflates a gzip or zlib stream that starts at `offset`. Throws Fault::Data: torn, CRC wrong, or
// more than `most` bytes.
Inflated inflate_check(const std::filesystem::path& file, std::uint64_t offset, std::uint64_t most);

// Bytes of a grid of `sizes` with `voxel_bytes` each. Throws Fault::Data: a size below 1, an
// overflow, or more than the limit (8 GiB).
std::uint64_t declared_bytes(const std::filesystem::path& file,
                             const std::vector<std::int64_t>& sizes, int voxel_bytes);

// Throws Fault::Data unless `present` bytes hold `declared`; warns when there are more.
void check_length(const std::filesystem::path& file, std::uint64_t declared, std::uint64_t present,
                  std::vector<std::string>& warnings);
// The same for compressed data, before inflating: deflate shrinks at most 1032-fold.
void check_ratio(const std::filesystem::path& file, std::uint64_t declared,
                 std::uint64_t compressed);

// A detached data file beside its header. Throws Fault::Data: missing, or outside the header's
// folder.
std::filesystem::path data_file_beside(const std::filesystem::path& header,
                                       const std::string& name);

// By extension alone: a scan of any format; a volume in one file (not DICOM, which comes in
// slices).
bool named_like_scan(const std::filesystem::path& file);
bool named_like_volume(const std::filesystem::path& file);

bool has_extension(const std::filesystem::path& file,
                   std::initializer_list<const char*> extensions);

}  // namespace homolog::import

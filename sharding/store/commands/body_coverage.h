// How much of a study's body at least one of its crops shows.
#pragma once

#include <array>
#include <span>

#include "sharding/store/shard_format.h"

namespace homolog::store {

// False where the study's record does not tell its body's box.
bool knows_body(const StudyRecord& study) noexcept;

// Millimetres between the voxels of the volume that `crops` (of one study) come from. Told by two
// landmarks' positions where the crops were resampled; without two apart, the crops' own.
std::array<double, 3> volume_spacing(std::span<const CropRecord> crops);

// Share (0..1) of the body's box within the crops, counted on a grid of up to 40 cells a side; of a
// crop without its margin, as the network sees it. REQUIRES: knows_body(study).
double covered_share(const ShardHeader& header, const StudyRecord& study,
                     std::span<const CropRecord> crops);

// Where the landmark lies in the body's box, from its lowest slice (0) to its highest (1).
double height_in_body(const StudyRecord& study, const CropRecord& crop) noexcept;

}  // namespace homolog::store

#include "sharding/store/verify_crops.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"

namespace homolog::store {
namespace {

// Columns of unit length, at right angles, right-handed.
bool is_rotation(const std::array<double, 9>& d) {
  constexpr double kTolerance = 1e-4;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      const double dot = d[i] * d[j] + d[3 + i] * d[3 + j] + d[6 + i] * d[6 + j];
      if (!(std::abs(dot - (i == j)) < kTolerance)) return false;
    }
  }
  const double determinant = d[0] * (d[4] * d[8] - d[5] * d[7]) -
                             d[1] * (d[3] * d[8] - d[5] * d[6]) +
                             d[2] * (d[3] * d[7] - d[4] * d[6]);
  return determinant > 0;
}

void check_geometry(const ShardToVerify& job, const std::vector<CropRecord>& crops) {
  std::map<std::uint32_t, const CropRecord*> first_of_study;
  for (std::size_t i = 0; i < crops.size(); ++i) {
    const CropRecord& c = crops[i];
    const auto find = [&](const char* what) { job.add(static_cast<std::int64_t>(i), what); };
    if (!is_rotation(c.direction)) find("a direction that is no rotation");
    if (!(c.outside_share >= 0 && c.outside_share <= 1)) find("an outside_share beyond 0..1");
    const auto& grid = job.shard.studies()[c.study].grid;
    const bool known = grid != std::array<std::int32_t, 3>{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (c.voxel[axis] < 0 || (known && c.voxel[axis] >= grid[axis])) {
        find("a landmark outside its study's grid");
        break;
      }
    }
    const CropRecord& first = *first_of_study.emplace(c.study, &c).first->second;
    if (first.direction != c.direction || first.spacing_mm != c.spacing_mm)
      find("another direction or spacing than its study's other crops");
  }
}

// Widest and narrowest value, as stored.
std::pair<int, int> range(const ShardHeader& h, const std::vector<std::byte>& stored) {
  const auto of = [&](const auto* values) {
    const auto [low, high] = std::minmax_element(values, values + h.voxels());
    return std::pair<int, int>(*low, *high);
  };
  switch (h.encoding) {
    case Encoding::SteppedU8:
      return of(reinterpret_cast<const std::uint8_t*>(stored.data()));
    case Encoding::RawI16:
      return of(reinterpret_cast<const std::int16_t*>(stored.data()));
    default:
      return of(reinterpret_cast<const std::uint16_t*>(stored.data()));
  }
}

const char* fault_of_values(const ShardHeader& h, const std::vector<std::byte>& stored) {
  constexpr int kAirHu = -500;  // at or below: no body
  const auto [low, high] = range(h, stored);
  const bool raw = h.encoding == Encoding::RawI16;

  const int most =
      h.encoding == Encoding::SteppedU8 ? std::min(255, h.window_width()) : h.window_width();
  if (!raw && high > most) return "a value beyond the window";
  if (low == high) return "a constant crop";
  if (raw && high <= kAirHu) return "an all-air crop";
  if (raw && (high <= h.window_low_hu || low >= h.window_high_hu))
    return "a constant crop within the window";
  return nullptr;
}

}  // namespace

void verify_crops(const ShardToVerify& job, const std::vector<CropRecord>& crops) {
  check_geometry(job, crops);
  const ShardHeader& h = job.shard.header();
  std::vector<std::byte> stored(static_cast<std::size_t>(h.bytes()));
  PackedCrop packed;
  std::map<std::uint64_t, std::int64_t> seen;  // by checksum
  for (std::int64_t row = 0; row < job.shard.crops(); ++row) {
    job.advanced();
    try {
      job.shard.read_stored(row, stored, packed);
    } catch (const Error& e) {
      job.add(row, e.summary());
      continue;
    }
    if (const char* fault = fault_of_values(h, stored)) {
      job.add(row, fault);
      continue;
    }
    const auto [first, fresh] = seen.emplace(job.shard.chunk(row).checksum, row);
    if (!fresh) job.add(row, "repeats the voxels of crop " + std::to_string(first->second));
  }
}

}  // namespace homolog::store

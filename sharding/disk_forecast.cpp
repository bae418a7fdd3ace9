#include "sharding/disk_forecast.h"

#include <algorithm>

#include "base/byte_count.h"
#include "base/error.h"
#include "base/hash.h"
#include "sharding/store/shard_writer.h"

namespace homolog::shard {
namespace {

struct Shares {
  double least, most;
};

// Compressed bytes to stored integers, as a rule. Least: phantoms; most: CT with much noise. Crops
// that reach far outside fall below it: 0.04 was seen.
Shares shares_of(const ShardPlan& plan) {
  Shares shares = plan.voxel == "u8"    ? Shares{0.30, 0.80}
                  : plan.voxel == "i16" ? Shares{0.30, 0.75}
                                        : Shares{0.25, 0.50};
  if (plan.codec == "zstd") shares = {0.8 * shares.least, 0.9 * shares.most};
  return shares;
}

// No store of scans beats it: air alone compresses better, and crops of air are refused.
constexpr double kFloorShare = 1.0 / 64;

// Bytes beside the voxels: rows of the tables; then what HDF5 and store.json add, at most.
constexpr std::uint64_t kCropRow = store::CropRecord::kRowBytes + store::ChunkRecord::kRowBytes,
                        kPairRow = store::PairRecord::kRowBytes,
                        kStudyRow = store::StudyRecord::kRowBytes;
constexpr std::uint64_t kLeastOfShard = 4 << 10, kMostOfShard = 16 << 10;
constexpr std::uint64_t kIndexOfCrop = 128, kCodecOfCrop = 16, kNamesOfStudy = 128;

std::uint64_t share_of(double share, std::uint64_t bytes) {
  return static_cast<std::uint64_t>(share * static_cast<double>(bytes));
}

}  // namespace

DiskForecast& operator+=(DiskForecast& sum, const DiskForecast& more) {
  sum.studies += more.studies;
  sum.shards += more.shards;
  sum.landmarks += more.landmarks;
  sum.least_crops += more.least_crops;
  sum.most_crops += more.most_crops;
  sum.least_bytes += more.least_bytes;
  sum.most_bytes += more.most_bytes;
  sum.floor_voxel_bytes += more.floor_voxel_bytes;
  sum.floor_bytes += more.floor_bytes;
  sum.bound_bytes += more.bound_bytes;
  return sum;
}

DiskForecast forecast_of(const Group& group, const ShardPlan& plan) {
  DiskForecast f;
  f.studies = std::ssize(group.studies);
  f.shards = 1;
  f.landmarks = f.studies * plan.landmarks_per_study;
  f.least_crops = 2 * f.landmarks;
  f.most_crops = f.studies * f.landmarks;
  const auto crop = static_cast<std::uint64_t>(header_of(plan, hex64(0), hex64(0)).bytes());
  const auto studies = static_cast<std::uint64_t>(f.studies),
             landmarks = static_cast<std::uint64_t>(f.landmarks),
             least = static_cast<std::uint64_t>(f.least_crops),
             most = static_cast<std::uint64_t>(f.most_crops);
  const std::uint64_t least_tables =
      kLeastOfShard + studies * kStudyRow + least * kCropRow + landmarks * kPairRow;
  const std::uint64_t most_tables = kMostOfShard + studies * (kStudyRow + kNamesOfStudy) +
                                    most * (kCropRow + kIndexOfCrop) +
                                    most * (studies - 1) * kPairRow;
  const Shares shares = shares_of(plan);
  f.least_bytes = share_of(shares.least, crop * least) + least_tables;
  f.most_bytes = share_of(shares.most, crop * most) + most_tables;
  f.floor_voxel_bytes = share_of(kFloorShare, crop * least);
  f.floor_bytes = f.floor_voxel_bytes + least_tables;
  f.bound_bytes = (crop + kCodecOfCrop) * most + most_tables;
  return f;
}

std::uint64_t needed_bytes(const DiskForecast& f) {
  return f.shards == 0
             ? 0
             : std::max(f.floor_bytes, f.floor_voxel_bytes + store::ShardWriter::kRoomBehindCrops);
}

std::uint64_t free_bytes(const std::filesystem::path& folder) {
  std::error_code absent;
  auto there = std::filesystem::absolute(folder);
  while (there.has_relative_path() && !std::filesystem::exists(there, absent))
    there = there.parent_path();
  const auto space = std::filesystem::space(there, absent);
  if (absent)
    throw Error(Fault::Environment, "cannot read " + there.string() + ": " + absent.message(),
                "choose another --out");
  return space.available;
}

void require_space(const DiskForecast& f, const std::filesystem::path& folder) {
  const std::uint64_t free = free_bytes(folder);
  if (needed_bytes(f) <= free) return;
  throw Error(Fault::Environment,
              "the store needs at least " + human_bytes(needed_bytes(f)) +
                  " more, if all crops compress 64 times (as a rule " + human_bytes(f.least_bytes) +
                  "), " + folder.string() + " has " + human_bytes(free) + " free",
              "free space or choose another --out; or write less: fewer --landmarks-per-study or "
              "--studies-per-landmark, a smaller --crop or --margin, --voxel u8, --codec zstd");
}

}  // namespace homolog::shard

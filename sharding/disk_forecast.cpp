#include "sharding/disk_forecast.h"

#include "base/byte_count.h"
#include "base/error.h"
#include "base/hash.h"

namespace homolog::shard {
namespace {

struct Shares {
  double least, most;
};

// Compressed bytes to stored integers. Least: phantoms and crops that reach far outside; most: CT
// with much noise.
Shares shares_of(const ShardPlan& plan) {
  Shares shares = plan.voxel == "u8"    ? Shares{0.30, 0.80}
                  : plan.voxel == "i16" ? Shares{0.30, 0.75}
                                        : Shares{0.25, 0.50};
  if (plan.codec == "zstd") shares = {0.8 * shares.least, 0.9 * shares.most};
  return shares;
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
  return sum;
}

DiskForecast forecast_of(const Group& group, const ShardPlan& plan) {
  DiskForecast f;
  f.studies = std::ssize(group.studies);
  f.shards = 1;
  f.landmarks = f.studies * plan.landmarks_per_study;
  f.least_crops = 2 * f.landmarks;
  f.most_crops = f.studies * f.landmarks;
  const auto crop = static_cast<double>(header_of(plan, hex64(0), hex64(0)).bytes());
  const Shares shares = shares_of(plan);
  f.least_bytes =
      static_cast<std::uint64_t>(shares.least * crop * static_cast<double>(f.least_crops));
  f.most_bytes = static_cast<std::uint64_t>(shares.most * crop * static_cast<double>(f.most_crops));
  return f;
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
  if (f.least_bytes <= free) return;
  throw Error(Fault::Environment,
              "the store needs at least " + human_bytes(f.least_bytes) + " more, " +
                  folder.string() + " has " + human_bytes(free) + " free",
              "free space or choose another --out; or write less: fewer --landmarks-per-study or "
              "--studies-per-landmark, a smaller --crop or --margin, --voxel u8, --codec zstd");
}

}  // namespace homolog::shard

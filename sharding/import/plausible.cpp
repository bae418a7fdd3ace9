#include "sharding/import/plausible.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace homolog::import {
namespace {

constexpr int kAir = -200;  // a CT has lung, bowel gas or the air around the body below this
constexpr double kLabelShare =
    0.75;  // of equal neighbours; measured: label maps 0.8 to 1, pictures below 0.5
constexpr std::int16_t kBody = -500;
constexpr int kLowest = -10000, kHighest = 31743;  // 12 and 16 bit scales, with their paddings

// Stored HU + 1024 whose intercept got lost: nothing negative, air near 0, soft tissue near 1024.
bool shifted_by_1024(const Volume& volume, int low) {
  if (low < -100) return false;
  std::size_t air = 0, tissue = 0;
  for (const std::int16_t value : volume.hu) {
    air += value < 300;
    tissue += value > 900 && value < 1200;
  }
  const double all = static_cast<double>(volume.hu.size());
  return static_cast<double>(air) > 0.02 * all && static_cast<double>(tissue) > 0.2 * all;
}

std::string range_text(int low, int high) {
  return std::to_string(low) + ".." + std::to_string(high);
}

}  // namespace

double same_neighbour_share(const Volume& volume) {
  const std::int64_t width = volume.grid.size.x;
  const std::int16_t background = *std::min_element(volume.hu.begin(), volume.hu.end());
  std::int64_t pairs = 0, same = 0;
  for (std::size_t i = 0; i + 1 < volume.hu.size(); ++i) {
    if (static_cast<std::int64_t>(i + 1) % width == 0 || volume.hu[i] == background ||
        volume.hu[i + 1] == background)
      continue;
    ++pairs;
    same += volume.hu[i] == volume.hu[i + 1];
  }
  return pairs == 0 ? 1.0 : static_cast<double>(same) / static_cast<double>(pairs);
}

std::string geometry_refusal(const Grid& grid) {
  constexpr double kFinest = 0.05, kCoarsest = 50, kLongest = 3000, kFarthest = 1e5;  // mm
  const auto text = [](double x, double y, double z) {
    char all[100];
    std::snprintf(all, sizeof all, "%.4g x %.4g x %.4g mm", x, y, z);
    return std::string(all);
  };
  const Point3 &s = grid.spacing, &o = grid.origin;
  for (const double step : {s.x, s.y, s.z}) {
    if (!(step >= kFinest && step <= kCoarsest))
      return "voxels of " + text(s.x, s.y, s.z) + " are no CT's: 0.05 to 50 mm are";
  }
  const double x = s.x * static_cast<double>(grid.size.x),
               y = s.y * static_cast<double>(grid.size.y),
               z = s.z * static_cast<double>(grid.size.z);
  if (std::max({x, y, z}) > kLongest)
    return "an extent of " + text(x, y, z) + " is no patient's: at most 3000 mm are";
  for (const double at : {o.x, o.y, o.z}) {
    if (!(std::abs(at) <= kFarthest))
      return "the origin lies " + text(o.x, o.y, o.z) + " away: 100 m are the limit";
  }
  return "";
}

Looks looks_like_ct(const Volume& volume, bool declared_ct, bool eight_bit) {
  Looks looks;
  const auto [low_at, high_at] = std::minmax_element(volume.hu.begin(), volume.hu.end());
  const int low = *low_at, high = *high_at;
  const Index3& n = volume.grid.size;
  const std::int64_t thinnest = std::min({n.x, n.y, n.z});
  if (thinnest < kFewSlices)
    looks.warnings.push_back("only " + std::to_string(thinnest) +
                             (thinnest == 1 ? " slice" : " slices") +
                             " along one axis: too few for a volume");
  if (low == high) {
    if (low > kAir) looks.refusal = "every voxel is " + std::to_string(low) + ", this is no CT";
    looks.warnings.push_back("every voxel is " + std::to_string(low) + ": no body");
    return looks;
  }
  if (low < kLowest || high > kHighest)
    looks.warnings.push_back("values " + range_text(low, high) + " go beyond what scanners give");
  if (low >= 0 && same_neighbour_share(volume) > kLabelShare) {
    looks.refusal = "looks like a label map, not like a CT (values " + range_text(low, high) + ")";
  } else if (eight_bit) {
    looks.hounsfield = false;
    looks.warnings.push_back("8-bit values " + range_text(low, high) + " are not HU");
  } else if (low > kAir && shifted_by_1024(volume, low)) {
    looks.hounsfield = false;
    looks.warnings.push_back("values " + range_text(low, high) +
                             " look like HU + 1024: the rescale intercept is missing");
  } else if (low > kAir && declared_ct) {
    looks.warnings.push_back("values " + range_text(low, high) +
                             " do not look like HU: no air near -1000");
  } else if (low > kAir) {
    looks.refusal =
        "does not look like CT: values " + range_text(low, high) + ", no air near -1000";
  } else if (high <= kBody) {
    looks.warnings.push_back("no body found: no voxel above -500 HU");
  }
  return looks;
}

}  // namespace homolog::import

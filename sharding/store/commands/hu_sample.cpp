#include "sharding/store/commands/hu_sample.h"

#include <algorithm>
#include <numeric>

#include "sharding/store/commands/distribution.h"
#include "sharding/store/commands/read_stop.h"

namespace homolog::store {

HuSample::HuSample(const ShardHeader& header, std::int64_t total, std::int64_t wanted)
    : header_(header),
      total_(total),
      wanted_(std::min(total, wanted)),
      levels_(static_cast<std::size_t>(header.window_width()) + 1),
      crop_(static_cast<std::size_t>(header.voxels())) {}

void HuSample::add(const ShardReader& shard) {
  while (taken_ < wanted_) {
    const std::int64_t next = taken_ * total_ / wanted_;  // row over all shards
    if (next >= passed_ + shard.crops()) break;
    stop_reading_if_asked();
    shard.read_window(next - passed_, crop_, scratch_);
    for (const std::uint16_t value : crop_) ++levels_[value];
    ++taken_;
  }
  passed_ += shard.crops();
}

int HuSample::hu_at(double share) const {
  const auto voxels = std::accumulate(levels_.begin(), levels_.end(), std::int64_t{0});
  std::int64_t below = 0;
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    below += levels_[level];
    if (static_cast<double>(below) > share * static_cast<double>(voxels))
      return header_.window_low_hu + static_cast<int>(level);
  }
  return header_.window_high_hu;
}

nlohmann::ordered_json HuSample::to_json() const {
  const auto voxels = static_cast<double>(
      std::max<std::int64_t>(1, std::accumulate(levels_.begin(), levels_.end(), std::int64_t{0})));
  Histogram histogram(header_.window_low_hu, header_.window_high_hu, 19);
  std::int64_t used = 0;
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    histogram.add(header_.window_low_hu + static_cast<double>(level), levels_[level]);
    used += levels_[level] > 0;
  }
  return {{"crops", taken_},
          {"hu_p01", hu_at(0.01)},
          {"hu_median", hu_at(0.5)},
          {"hu_p99", hu_at(0.99)},
          {"share_at_low", static_cast<double>(levels_.front()) / voxels},
          {"share_at_high", static_cast<double>(levels_.back()) / voxels},
          {"levels", levels_.size()},
          {"levels_used", used},
          {"histogram", histogram.to_json()}};
}

}  // namespace homolog::store

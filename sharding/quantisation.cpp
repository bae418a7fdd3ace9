#include "sharding/quantisation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace homolog::shard {

QuantisationError quantisation_error(const store::ShardHeader& header) {
  std::vector<std::int16_t> hu(static_cast<std::size_t>(header.window_width()) + 1);
  std::iota(hu.begin(), hu.end(), static_cast<std::int16_t>(header.window_low_hu));
  std::vector<std::byte> stored(hu.size() * static_cast<std::size_t>(header.voxel_bytes()));
  std::vector<std::uint16_t> read(hu.size());
  store::encode(header, hu, stored);
  store::to_window(header, stored, read);
  QuantisationError error;
  if (header.encoding == store::Encoding::SteppedU8) error.step_hu = header.step_hu();
  double squares = 0;
  for (std::size_t i = 0; i < read.size(); ++i) {
    const double off = std::abs(static_cast<double>(read[i]) - static_cast<double>(i));
    error.largest_hu = std::max(error.largest_hu, off);
    squares += off * off;
  }
  error.rms_hu = std::sqrt(squares / static_cast<double>(read.size()));
  return error;
}

}  // namespace homolog::shard

// Encoding rules and bounds of the shard format.
// The bounds are checked by writer and reader alike, so that what is written can be read.
#include "sharding/store/shard_format.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"

namespace homolog::store {

const char* encoding_name(Encoding encoding) noexcept {
  return encoding == Encoding::ClippedU16 ? "uint16" : "int16";
}

bool is_hex_id(std::string_view text) noexcept {
  return text.size() == 16 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string shard_file_name(std::int64_t number) {
  char name[40];
  std::snprintf(name, sizeof name, "shard-%05lld.h5", static_cast<long long>(number));
  return name;
}

void validate(const ShardHeader& header) {
  const auto refuse = [](const std::string& what, const std::string& remedy) {
    throw Error(Fault::Usage, what, remedy);
  };
  for (const std::int64_t side : {header.crop.x, header.crop.y, header.crop.z}) {
    if (side < 2 || side > kMaxSide) {
      refuse("a crop side of " + std::to_string(side) + " voxels",
             "sides (margin included) go from 2 to " + std::to_string(kMaxSide));
    }
  }
  if (header.bytes() > kMaxCropBytes) refuse("a crop larger than 512 MiB", "choose a smaller crop");
  const int width = header.window_high_hu - header.window_low_hu;
  if (width <= 0 || width > 32767) {
    refuse("an HU window of width " + std::to_string(width), "the width goes from 1 to 32767 HU");
  }
  if (header.margin < 0 ||
      2 * header.margin >= std::min({header.crop.x, header.crop.y, header.crop.z})) {
    refuse("a margin of " + std::to_string(header.margin) + " voxels",
           "twice the margin must fit in the crop");
  }
  if (header.split != "train" && header.split != "validation") {
    refuse("a split named '" + header.split + "'", "train or validation");
  }
  if (!is_hex_id(header.sam_hash))
    refuse("a SAM hash that is not 16 hex digits", "pass Embedder::sam_hash()");
  if (!is_hex_id(header.plan_hash)) refuse("a plan hash that is not 16 hex digits", "pass hex64()");
}

void encode(const ShardHeader& header, std::span<const std::int16_t> hu,
            std::span<std::uint16_t> stored) {
  if (header.encoding == Encoding::RawI16) {
    std::transform(hu.begin(), hu.end(), stored.begin(),
                   [](std::int16_t v) { return static_cast<std::uint16_t>(v); });
    return;
  }
  const int low = header.window_low_hu, high = header.window_high_hu;
  std::transform(hu.begin(), hu.end(), stored.begin(), [low, high](std::int16_t v) {
    return static_cast<std::uint16_t>(std::clamp<int>(v, low, high) - low);
  });
}

void to_window(const ShardHeader& header, std::span<std::uint16_t> stored) {
  if (header.encoding == Encoding::ClippedU16) return;
  const int low = header.window_low_hu, high = header.window_high_hu;
  for (std::uint16_t& v : stored) {
    v = static_cast<std::uint16_t>(std::clamp<int>(static_cast<std::int16_t>(v), low, high) - low);
  }
}

}  // namespace homolog::store

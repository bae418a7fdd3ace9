// Encoding rules and bounds of the shard format.
// The bounds are checked by writer and reader alike, so that what is written can be read.
#include "sharding/store/shard_format.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace homolog::store {

const char* encoding_name(Encoding encoding) noexcept {
  return encoding == Encoding::ClippedU16  ? "uint16"
         : encoding == Encoding::SteppedU8 ? "uint8"
                                           : "int16";
}

Encoding encoding_named(std::string_view name) {
  for (const Encoding e : {Encoding::ClippedU16, Encoding::SteppedU8, Encoding::RawI16})
    if (name == encoding_name(e)) return e;
  throw Error(Fault::Data, "an unknown encoding of voxels", "use the homolog that wrote it");
}

const char* codec_name(Codec codec) noexcept { return codec == Codec::Lz4 ? "lz4" : "zstd"; }

Codec codec_named(std::string_view name) {
  for (const Codec c : {Codec::Lz4, Codec::Zstd})
    if (name == codec_name(c)) return c;
  throw Error(Fault::Data, "an unknown codec", "use the homolog that wrote it");
}

StudyRecord StudyRecord::named(std::string_view id) {
  StudyRecord record;
  std::copy_n(id.begin(), record.id.size(), record.id.begin());
  return record;
}

bool is_hex_id(std::string_view text) noexcept {
  return text.size() == 16 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_split(std::string_view name) noexcept { return name == "train" || name == "validation"; }

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
  for (const int hu : {header.window_low_hu, header.window_high_hu}) {
    if (hu < -32768 || hu > 32767)
      refuse("an end of the window at " + std::to_string(hu) + " HU", "-32768 to 32767");
  }
  const int width = header.window_width();
  if (width <= 0 || width > 32767) {
    refuse("an HU window of width " + std::to_string(width), "the width goes from 1 to 32767 HU");
  }
  if (header.margin < 0 || header.margin > kMaxSide ||
      2 * header.margin >= std::min({header.crop.x, header.crop.y, header.crop.z})) {
    refuse("a margin of " + std::to_string(header.margin) + " voxels",
           "twice the margin must fit in the crop");
  }
  if (!is_split(header.split))
    refuse("a split that is neither train nor validation", "choose one of them");
  if (!is_hex_id(header.sam_hash))
    refuse("a SAM hash that is not 16 hex digits", "pass Embedder::sam_hash()");
  if (!is_hex_id(header.plan_hash)) refuse("a plan hash that is not 16 hex digits", "pass hex64()");
}

void encode(const ShardHeader& header, std::span<const std::int16_t> hu,
            std::span<std::byte> stored) {
  const int low = header.window_low_hu, high = header.window_high_hu;
  if (header.encoding == Encoding::SteppedU8) {
    const auto per_hu = static_cast<float>(1 / header.step_hu());
    auto* to = reinterpret_cast<std::uint8_t*>(stored.data());
    std::transform(hu.begin(), hu.end(), to, [=](std::int16_t v) {
      return static_cast<std::uint8_t>(
          static_cast<float>(std::clamp<int>(v, low, high) - low) * per_hu + 0.5F);
    });
    return;
  }
  const bool raw = header.encoding == Encoding::RawI16;
  auto* to = reinterpret_cast<std::uint16_t*>(stored.data());
  std::transform(hu.begin(), hu.end(), to, [=](std::int16_t v) {
    return static_cast<std::uint16_t>(raw ? v : std::clamp<int>(v, low, high) - low);
  });
}

void to_window(const ShardHeader& header, std::span<const std::byte> stored,
               std::span<std::uint16_t> window) {
  if (header.encoding == Encoding::SteppedU8) {
    std::array<std::uint16_t, 256> values;
    for (std::size_t level = 0; level < values.size(); ++level) {
      values[level] = static_cast<std::uint16_t>(std::min<double>(
          header.window_width(), std::floor(static_cast<double>(level) * header.step_hu() + 0.5)));
    }
    for (std::size_t i = 0; i < window.size(); ++i)
      window[i] = values[static_cast<std::uint8_t>(stored[i])];
    return;
  }
  const auto* from = reinterpret_cast<const std::uint16_t*>(stored.data());
  if (header.encoding == Encoding::ClippedU16) {
    if (from != window.data()) std::copy_n(from, window.size(), window.data());
    return;
  }
  const int low = header.window_low_hu, high = header.window_high_hu;
  for (std::size_t i = 0; i < window.size(); ++i) {
    const int hu = static_cast<std::int16_t>(from[i]);
    window[i] = static_cast<std::uint16_t>(std::clamp(hu, low, high) - low);
  }
}

}  // namespace homolog::store

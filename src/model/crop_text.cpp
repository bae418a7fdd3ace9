#include "model/crop_text.h"

#include <charconv>

namespace homolog::backbone {

bool parse_crop(const std::string& text, Size3& crop) {
  constexpr std::int64_t kLongest = 65536;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t a = 0; a < crop.size(); ++a) {
    const auto [next, fault] = std::from_chars(at, end, crop[a]);
    if (fault != std::errc() || crop[a] <= 0 || crop[a] > kLongest) return false;
    if (a + 1 == crop.size()) return next == end;
    if (next == end || (*next != ',' && *next != 'x')) return false;
    at = next + 1;
  }
  return false;
}

std::string crop_text(const Size3& crop, char between) {
  return std::to_string(crop[0]) + between + std::to_string(crop[1]) + between +
         std::to_string(crop[2]);
}

}  // namespace homolog::backbone

#include "model/weights/file_words.h"

namespace homolog::model {
namespace {

constexpr std::size_t kLongest = 200;

bool is_tail(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

// Bytes of the UTF-8 character at the front, by the Unicode standard's table 3-7; 0: none.
std::size_t character(std::string_view at) {
  const auto first = static_cast<unsigned char>(at[0]);
  if (first < 0x80) return 1;
  const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at.size() < bytes) return 0;
  for (std::size_t i = 1; i < bytes; ++i)
    if (!is_tail(at[i])) return 0;
  const auto second = static_cast<unsigned char>(at[1]);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool beyond = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
  return overlong || beyond ? 0 : bytes;
}

bool is_control(std::string_view one) {
  const auto first = static_cast<unsigned char>(one[0]);
  return first < 0x20 || first == 0x7F ||
         (first == 0xC2 && static_cast<unsigned char>(one[1]) < 0xA0);
}

}  // namespace

std::string printable(std::string_view words) {
  std::string out;
  for (std::size_t at = 0; at < words.size();) {
    if (out.size() > kLongest) return out + "...";
    const std::size_t bytes = character(words.substr(at));
    const std::string_view one = words.substr(at, bytes > 0 ? bytes : 1);
    out += bytes == 0 || is_control(one) ? std::string_view("?") : one;
    at += one.size();
  }
  return out;
}

bool is_name(std::string_view words) { return !words.empty() && printable(words) == words; }

std::optional<std::uint64_t> elements_of(const std::vector<std::int64_t>& shape) {
  constexpr std::size_t kMostAxes = 8;
  constexpr std::uint64_t kMost = std::uint64_t{1} << 40U;
  std::uint64_t all = 1, filled = 1;
  if (shape.size() > kMostAxes) return std::nullopt;
  for (const std::int64_t side : shape) {
    const auto n = static_cast<std::uint64_t>(side);
    if (side < 0 || (n > 0 && filled > kMost / n)) return std::nullopt;
    all *= n;
    filled *= n > 0 ? n : 1;
  }
  return all;
}

}  // namespace homolog::model

#include "picture/picture.h"

#include <algorithm>

namespace homolog {

Picture Picture::blank(std::int64_t width, std::int64_t height, std::uint8_t grey) {
  return {width, height,
          std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3), grey)};
}

void Picture::paint(std::int64_t x, std::int64_t y, const Colour& colour) {
  if (x < 0 || y < 0 || x >= width || y >= height) return;
  std::copy(colour.begin(), colour.end(), at(x, y));
}

}  // namespace homolog

// A picture's PNG is one that libpng reads back, and text in it can be read.
#include <gtest/gtest.h>
#include <png.h>

#include <cstring>

#include "picture/font.h"
#include "picture/picture.h"

namespace homolog {
namespace {

std::vector<std::uint8_t> decoded(const std::string& png) {
  png_image image;
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  EXPECT_NE(png_image_begin_read_from_memory(&image, png.data(), png.size()), 0);
  image.format = PNG_FORMAT_RGB;
  std::vector<std::uint8_t> rgb(PNG_IMAGE_SIZE(image));
  EXPECT_NE(png_image_finish_read(&image, nullptr, rgb.data(), 0, nullptr), 0);
  return rgb;
}

TEST(Png, GivesBackEveryPixel) {
  Picture picture = Picture::blank(37, 11, 20);
  picture.paint(36, 10, {1, 2, 3});
  picture.paint(0, 0, {255, 0, 9});
  picture.paint(37, 0, {9, 9, 9});  // outside: nothing
  picture.paint(-1, 0, {9, 9, 9});
  EXPECT_EQ(decoded(png_of(picture)), picture.rgb);
  EXPECT_EQ(picture.at(1, 0)[0], 20);
}

TEST(Png, ANameMayEndInCapitals) {
  EXPECT_TRUE(is_png_name("pairs.png"));
  EXPECT_TRUE(is_png_name("PAIRS.PNG"));
  EXPECT_FALSE(is_png_name("pairs.jpg"));
  EXPECT_FALSE(is_png_name("png"));
}

TEST(Font, TellsTheLettersOfAPseudonymApart) {
  std::vector<std::vector<std::uint8_t>> seen;
  for (const char letter : std::string("0123456789abcdefABCDEF")) {
    Picture picture = Picture::blank(kTextAdvance + 4, kTextHeight + 4, 100);
    draw_text(picture, 2, 2, std::string(1, letter));
    for (const auto& other : seen) EXPECT_NE(picture.rgb, other) << letter;
    seen.push_back(picture.rgb);
  }
}

}  // namespace
}  // namespace homolog

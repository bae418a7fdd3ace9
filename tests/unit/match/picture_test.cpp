// The picture of a match says in words what it shows, and is a PNG by name too.
#include "sharding/match/picture.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "picture/font.h"

namespace homolog::match {
namespace {

Volume grey_volume() {
  Volume v;
  v.grid.size = {16, 16, 16};
  v.hu.assign(4096, 40);
  return v;
}

// Whether `text` stands at (left, top): each of its dots is white.
bool reads(Picture p, std::int64_t left, std::int64_t top, const char* text) {
  Picture blank = p;
  std::fill(blank.rgb.begin(), blank.rgb.end(), std::uint8_t{1});
  draw_text(blank, left, top, text);
  int dots = 0;
  for (std::size_t i = 0; i < p.rgb.size(); ++i) {
    if (blank.rgb[i] != 255) continue;
    ++dots;
    if (p.rgb[i] != 255) return false;
  }
  return dots > 0;
}

TEST(Picture, NamesPlanesScansSidesAndScore) {
  const Volume v = grey_volume();
  const Picture p = picture_of_match(v, {8, 8, 8}, v, {{8, 8, 8}, {8, 8, 8}, 0.87});
  EXPECT_TRUE(reads(p, 16, 16, "QUERY AXIAL"));
  EXPECT_TRUE(reads(p, 384, 16, "QUERY CORONAL"));
  EXPECT_TRUE(reads(p, 16, 384, "KEY AXIAL"));
  EXPECT_TRUE(reads(p, 384, 384, "KEY CORONAL"));
  EXPECT_TRUE(reads(p, 8, 745, "SCORE 0.87"));
  EXPECT_FALSE(reads(p, 8, 745, "SCORE 0.88"));
  EXPECT_TRUE(reads(p, 16, 8 + 173, "R"));
}

TEST(Picture, IsRefusedUnderAnotherNameThanPng) {
  EXPECT_NO_THROW(check_png_name("m.png"));
  try {
    write_png({1, 1, {0, 0, 0}}, "m.jpg");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
  }
}

}  // namespace
}  // namespace homolog::match

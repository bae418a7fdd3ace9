#include "sharding/match/picture.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "picture/font.h"

namespace homolog::match {
namespace {

constexpr std::int64_t kPanel = 360, kGap = 8, kBar = 16;  // pixels
constexpr Colour kCross{255, 200, 0}, kScore{80, 200, 120}, kRest{60, 60, 60};

std::uint8_t grey(std::int16_t hu) {
  return static_cast<std::uint8_t>(std::clamp((hu + 160) * 255 / 400, 0, 255));
}

// One slice through `at`, millimetres square, centred in its panel; coronal: z upwards, else y
// down.
void draw_slice(Picture& p, std::int64_t left, std::int64_t top, const Volume& v, const Point3& at,
                bool coronal) {
  const Grid& g = v.grid;
  const double wide = static_cast<double>(g.size.x) * g.spacing.x;
  const double high = coronal ? static_cast<double>(g.size.z) * g.spacing.z
                              : static_cast<double>(g.size.y) * g.spacing.y;
  const double mm = std::max(wide, high) / static_cast<double>(kPanel);  // per pixel
  const auto width = static_cast<std::int64_t>(wide / mm),
             height = static_cast<std::int64_t>(high / mm);
  left += (kPanel - width) / 2;
  top += (kPanel - height) / 2;
  const Index3 fixed = g.clamped({std::llround(at.x), std::llround(at.y), std::llround(at.z)});
  for (std::int64_t j = 0; j < height; ++j) {
    for (std::int64_t i = 0; i < width; ++i) {
      Index3 voxel = fixed;
      voxel.x = static_cast<std::int64_t>((static_cast<double>(i) + 0.5) * mm / g.spacing.x);
      const double down = (static_cast<double>(j) + 0.5) * mm;
      if (coronal) {
        voxel.z = g.size.z - 1 - static_cast<std::int64_t>(down / g.spacing.z);
      } else {
        voxel.y = static_cast<std::int64_t>(down / g.spacing.y);
      }
      const std::uint8_t value = grey(v.at(g.clamped(voxel)));
      p.paint(left + i, top + j, {value, value, value});
    }
  }
  const auto cross_x = left + static_cast<std::int64_t>((at.x + 0.5) * g.spacing.x / mm);
  const double down = coronal ? (static_cast<double>(g.size.z) - 0.5 - at.z) * g.spacing.z
                              : (at.y + 0.5) * g.spacing.y;
  const auto cross_y = top + static_cast<std::int64_t>(down / mm);
  for (std::int64_t r = 4; r < 22; ++r) {
    for (const std::int64_t s : {-r, r}) {
      for (const std::int64_t t : {0, 1}) {
        p.paint(cross_x + s, cross_y + t, kCross);
        p.paint(cross_x + t, cross_y + s, kCross);
      }
    }
  }
}

// What the panel shows, and the patient's sides: both planes have the right at the left.
void label(Picture& p, std::int64_t left, std::int64_t top, const char* text) {
  draw_text(p, left + kGap, top + kGap, text);
  draw_text(p, left + kGap, top + (kPanel - kTextHeight) / 2, "R");
  draw_text(p, left + kPanel - kGap - kTextAdvance, top + (kPanel - kTextHeight) / 2, "L");
}

// "SCORE 0.87", then a bar as long as the score.
void draw_score(Picture& p, double score) {
  char text[32];
  std::snprintf(text, sizeof text, "SCORE %.2f", score);
  const std::int64_t top = 3 * kGap + 2 * kPanel, left = 2 * kGap + 11 * kTextAdvance;
  draw_text(p, kGap, top + 1, text);
  const std::int64_t length = p.width - left - kGap;
  const auto full =
      static_cast<std::int64_t>(std::clamp(score, 0.0, 1.0) * static_cast<double>(length));
  for (std::int64_t x = 0; x < length; ++x) {
    for (std::int64_t y = 0; y < kBar; ++y) p.paint(left + x, top + y, x < full ? kScore : kRest);
  }
}

}  // namespace

Picture picture_of_match(const Volume& query, const Point3& query_index, const Volume& key,
                         const Match& match) {
  Picture p = Picture::blank(2 * kPanel + 3 * kGap, 2 * kPanel + 4 * kGap + kBar, 20);
  draw_slice(p, kGap, kGap, query, query_index, false);
  draw_slice(p, 2 * kGap + kPanel, kGap, query, query_index, true);
  draw_slice(p, kGap, 2 * kGap + kPanel, key, match.index, false);
  draw_slice(p, 2 * kGap + kPanel, 2 * kGap + kPanel, key, match.index, true);
  label(p, kGap, kGap, "QUERY AXIAL");
  label(p, 2 * kGap + kPanel, kGap, "QUERY CORONAL");
  label(p, kGap, 2 * kGap + kPanel, "KEY AXIAL");
  label(p, 2 * kGap + kPanel, 2 * kGap + kPanel, "KEY CORONAL");
  draw_score(p, match.score);
  return p;
}

}  // namespace homolog::match

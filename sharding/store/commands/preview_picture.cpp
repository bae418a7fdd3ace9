#include "sharding/store/commands/preview_picture.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "volume/crop.h"

namespace homolog::store {
namespace {

constexpr Colour kMark{255, 200, 0}, kFrame{90, 160, 255};
constexpr std::uint8_t kGround = 16;
constexpr std::int64_t kInset = 7;   // pixels from a panel's edge to its letters
constexpr double kLeastShare = 0.5;  // of a panel that a crop fills without being enlarged

// Axes 0, 1, 2 are x (to the patient's left), y (to the back), z (to the head).
struct Plane {
  const char* name;
  int across, down, fixed;
  const char *left, *right, *top, *bottom;
};
constexpr Plane kPlanes[] = {{"AXIAL", 0, 1, 2, "R", "L", "A", "P"},
                             {"CORONAL", 0, 2, 1, "R", "L", "S", "I"},
                             {"SAGITTAL", 1, 2, 0, "A", "P", "S", "I"}};
constexpr bool is_upwards(int axis) { return axis == 2; }  // the head is at the top

using Sides = std::array<std::int64_t, 3>;
Sides sides_of(const Index3& i) { return {i.x, i.y, i.z}; }

// The longer side of a plane of the crop.
double longest_mm(const ShardHeader& header, const PreviewCrop& crop, const Plane& plane) {
  const Sides size = sides_of(header.crop);
  const auto mm = [&](int axis) {
    const auto a = static_cast<std::size_t>(axis);
    return static_cast<double>(size[a]) * crop.record.spacing_mm[a];
  };
  return std::max(mm(plane.across), mm(plane.down));
}

// One plane of a crop on a square panel, its middle in the panel's middle.
class Panel {
 public:
  Panel(Picture& picture, std::int64_t left, std::int64_t top, const ShardHeader& header,
        const PreviewCrop& crop, const Plane& plane, double mm)
      : picture_(picture), left_(left), top_(top), header_(header), crop_(crop), plane_(plane) {
    size_ = sides_of(header.crop);
    landmark_ = sides_of(landmark_in_crop(header.crop));
    for (const int axis : {plane.across, plane.down})
      per_voxel_[axis] = crop.record.spacing_mm[static_cast<std::size_t>(axis)] / mm;
  }

  void draw() {
    for (std::int64_t j = 0; j < kPreviewPanel; ++j) {
      for (std::int64_t i = 0; i < kPreviewPanel; ++i) {
        const double x = voxel_at(plane_.across, i), y = voxel_at(plane_.down, j);
        if (is_inside(plane_.across, x) && is_inside(plane_.down, y)) {
          const std::uint8_t value = grey(x, y);
          picture_.paint(left_ + i, top_ + j, {value, value, value});
        }
      }
    }
    if (header_.margin > 0) draw_frame();
    draw_mark();
  }

 private:
  double side(int axis) const { return static_cast<double>(size_[static_cast<std::size_t>(axis)]); }
  bool is_inside(int axis, double voxel) const { return voxel >= -0.5 && voxel < side(axis) - 0.5; }
  // Continuous index along `axis` at the middle of a pixel of the panel, and back.
  double voxel_at(int axis, std::int64_t pixel) const {
    const double from_middle =
        (static_cast<double>(pixel) + 0.5 - kPreviewPanel / 2.0) / per_voxel_[axis];
    return (side(axis) - 1) / 2 + (is_upwards(axis) ? -from_middle : from_middle);
  }
  std::int64_t pixel_at(int axis, double voxel) const {
    const double from_middle = (voxel - (side(axis) - 1) / 2) * per_voxel_[axis];
    return std::llround(kPreviewPanel / 2.0 - 0.5 +
                        (is_upwards(axis) ? -from_middle : from_middle));
  }

  double value(std::int64_t across, std::int64_t down) const {
    Sides at = landmark_;
    at[static_cast<std::size_t>(plane_.across)] = across;
    at[static_cast<std::size_t>(plane_.down)] = down;
    return crop_.window[static_cast<std::size_t>((at[2] * size_[1] + at[1]) * size_[0] + at[0])];
  }
  // Linear between voxels, in the plane alone.
  std::uint8_t grey(double x, double y) const {
    x = std::clamp(x, 0.0, side(plane_.across) - 1);
    y = std::clamp(y, 0.0, side(plane_.down) - 1);
    const auto x0 = static_cast<std::int64_t>(x), y0 = static_cast<std::int64_t>(y);
    const std::int64_t x1 = std::min(x0 + 1, static_cast<std::int64_t>(side(plane_.across)) - 1);
    const std::int64_t y1 = std::min(y0 + 1, static_cast<std::int64_t>(side(plane_.down)) - 1);
    const double fx = x - static_cast<double>(x0), fy = y - static_cast<double>(y0);
    const double upper = value(x0, y0) * (1 - fx) + value(x1, y0) * fx;
    const double lower = value(x0, y1) * (1 - fx) + value(x1, y1) * fx;
    return static_cast<std::uint8_t>(
        std::lround((upper * (1 - fy) + lower * fy) * 255 / header_.window_width()));
  }

  void draw_mark() {
    const std::int64_t x = left_ + pixel_at(plane_.across, landmark_at(plane_.across)),
                       y = top_ + pixel_at(plane_.down, landmark_at(plane_.down));
    for (std::int64_t r = 4; r < 14; ++r) {
      for (const std::int64_t s : {-r, r}) {
        picture_.paint(x + s, y, kMark);
        picture_.paint(x, y + s, kMark);
      }
    }
  }
  double landmark_at(int axis) const {
    return static_cast<double>(landmark_[static_cast<std::size_t>(axis)]);
  }

  void draw_frame() {
    const auto edges = [&](int axis) {
      const std::int64_t a = pixel_at(axis, header_.margin - 0.5),
                         b = pixel_at(axis, side(axis) - header_.margin - 0.5);
      return std::array<std::int64_t, 2>{std::min(a, b), std::max(a, b)};
    };
    const auto x = edges(plane_.across), y = edges(plane_.down);
    for (std::int64_t i = x[0]; i <= x[1]; ++i) {
      for (const std::int64_t j : y) picture_.paint(left_ + i, top_ + j, kFrame);
    }
    for (std::int64_t j = y[0]; j <= y[1]; ++j) {
      for (const std::int64_t i : x) picture_.paint(left_ + i, top_ + j, kFrame);
    }
  }

  Picture& picture_;
  std::int64_t left_, top_;
  const ShardHeader& header_;
  const PreviewCrop& crop_;
  const Plane& plane_;
  Sides size_, landmark_;
  double per_voxel_[3] = {1, 1, 1};  // pixels
};

// What the panel shows stands above it, the patient's sides within.
void label(Picture& p, std::int64_t left, std::int64_t top, const char* whose, const Plane& plane) {
  const std::int64_t middle = (kPreviewPanel - kTextHeight) / 2,
                     centre = (kPreviewPanel - kTextAdvance) / 2;
  const std::int64_t far_x = kPreviewPanel - kTextAdvance - kInset,
                     far_y = kPreviewPanel - kTextHeight - kInset;
  draw_text(p, left + kInset, top + middle, plane.left);
  draw_text(p, left + far_x, top + middle, plane.right);
  draw_text(p, left + centre, top + kInset, plane.top);
  draw_text(p, left + centre, top + far_y, plane.bottom);
  draw_text(p, left, top - kTextHeight - 4, std::string(whose) + " " + plane.name);
}

// How much a panel is enlarged beyond the pair's common scale, in its lower corner.
void label_enlarged(Picture& p, std::int64_t left, std::int64_t top, double times) {
  char text[24];
  std::snprintf(text, sizeof text, "X%.1f", times);
  draw_text(p, left + kInset, top + kPreviewPanel - kTextHeight - kInset, text);
}

void draw_row(Picture& picture, std::int64_t top, const ShardHeader& header,
              const PreviewPair& pair) {
  std::int64_t left = kPreviewGap;
  for (const Plane& plane : kPlanes) {
    const double longest =
        std::max(longest_mm(header, pair.query, plane), longest_mm(header, pair.key, plane));
    for (const bool is_query : {true, false}) {
      const PreviewCrop& crop = is_query ? pair.query : pair.key;
      const double own = longest_mm(header, crop, plane);
      const double shown = own < kLeastShare * longest ? own : longest;
      Panel(picture, left, top, header, crop, plane, shown / kPreviewPanel).draw();
      label(picture, left, top, is_query ? "QUERY" : "KEY", plane);
      if (shown < longest) label_enlarged(picture, left, top, longest / shown);
      left += kPreviewPanel + kPreviewGap;
    }
  }
}

std::string caption(const PreviewPair& pair) {
  const auto& q = pair.query.record.spacing_mm;
  const auto& k = pair.key.record.spacing_mm;
  char text[200];
  std::snprintf(text, sizeof text,
                "PAIR %llu  SCORE %.3f  QUERY %s  %.2f %.2f %.2f MM  KEY %s  %.2f %.2f %.2f MM",
                static_cast<unsigned long long>(pair.index), pair.score, pair.query.study.c_str(),
                q[0], q[1], q[2], pair.key.study.c_str(), k[0], k[1], k[2]);
  return text;
}

constexpr std::int64_t kRowWidth = 6 * kPreviewPanel + 7 * kPreviewGap;
constexpr std::int64_t kLine = kTextHeight + 2 * kPreviewGap, kTitle = kPreviewTop - kPreviewGap,
                       kSheetRow = kTitle + kPreviewPanel + kLine + 10;

}  // namespace

Picture picture_of_pair(const ShardHeader& header, const PreviewPair& pair) {
  Picture picture = Picture::blank(kRowWidth, kPreviewTop + kPreviewPanel + kPreviewGap, kGround);
  draw_row(picture, kPreviewTop, header, pair);
  return picture;
}

PreviewSheet::PreviewSheet(const ShardHeader& header, std::int64_t pairs, const std::string& title)
    : header_(header),
      picture_(Picture::blank(kRowWidth, kLine + kPreviewGap + pairs * kSheetRow, kGround)),
      top_(kLine + kPreviewGap) {
  draw_text(picture_, kPreviewGap, kPreviewGap, title);
}

void PreviewSheet::add(const PreviewPair& pair) {
  draw_row(picture_, top_ + kTitle, header_, pair);
  draw_text(picture_, kPreviewGap, top_ + kTitle + kPreviewPanel + kPreviewGap, caption(pair));
  top_ += kSheetRow;
}

}  // namespace homolog::store

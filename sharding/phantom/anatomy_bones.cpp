// Spine, pelvis and shoulder girdle. Ribs follow the thoracic wall: template_body.cpp.
#include <algorithm>
#include <array>
#include <cmath>

#include "sharding/phantom/anatomy.h"

namespace homolog::phantom {
namespace {

constexpr float kShell = 0.32f;  // level below which bone is cortical

Part bone(Shape shape, Organ organ, float shell = kShell) {
  return {shape, organ, Matter::Marrow, Matter::CorticalBone, shell};
}

// Size of vertebra i relative to L5.
float vertebra_size(int i) { return 1.f - 0.027f * static_cast<float>(i); }
float pitch(int i) { return 33.f - static_cast<float>(i); }  // mm from i to i + 1

void add_vertebra(std::vector<Part>& parts, int i) {
  const float z = vertebra_z(i), y = spine_y(z), s = vertebra_size(i);
  const float slope = (spine_y(z + 10) - spine_y(z - 10)) / 20;
  const Vec tilt{-std::atan(slope) * 57.2958f, 0, 0};
  const float half_height = pitch(i) * 0.37f;
  const bool thoracic = i >= 5;
  const float canal = y + (17.f + 9.f) * s;
  parts.push_back(
      {Shape::barrel({0, canal, z}, {9.5f * s + 1.5f, 8.5f * s + 1, pitch(i) * 0.56f}, tilt),
       Organ::SpinalCanal, Matter::Cord, Matter::Fat, 0.4f});
  parts.push_back(bone(Shape::barrel({0, y, z}, {25.f * s, 18.f * s, half_height}, tilt),
                       Organ::Vertebra, 0.26f));
  // Neural arch, spinous process (steeper in the chest), transverse processes.
  parts.push_back(bone(Shape::barrel({0, canal, z}, {17.f * s, 15.f * s, pitch(i) * 0.28f}, tilt),
                       Organ::Vertebra, 0.6f));
  const float drop = thoracic ? 0.75f * pitch(i) : 0.25f * pitch(i);
  parts.push_back(bone(Shape::capsule({0, canal + 11 * s, z - 3}, {0, canal + 29 * s, z - 3 - drop},
                                      4.8f * s, 4.2f * s),
                       Organ::Vertebra, 0.5f));
  for (const float side : {-1.f, 1.f}) {
    const float reach = thoracic ? 34.f * s + 6 : 42.f * s;
    parts.push_back(
        bone(Shape::capsule({side * 14 * s, canal - 2, z + 3},
                            {side * reach, canal + (thoracic ? 10 : 0), z + 5}, 5.5f * s, 4.2f * s),
             Organ::Vertebra, 0.5f));
  }
}

}  // namespace

float vertebra_z(int i) noexcept {
  float z = 118;
  for (int k = 0; k < i; ++k) z += pitch(k);
  return z;
}

float spine_y(float z) noexcept {
  // Lordosis below, kyphosis above; knots every 60 mm from z = 40, Catmull-Rom between.
  constexpr std::array<float, 11> y{62, 50, 36, 35, 44, 54, 60, 58, 48, 34, 22};
  const float u = std::clamp((z - 40) / 60, 0.f, 9.999f);
  const auto k = static_cast<std::size_t>(u);
  const float t = u - static_cast<float>(k);
  const float a = y[k == 0 ? 0 : k - 1], b = y[k], c = y[k + 1],
              d = y[std::min<std::size_t>(k + 2, 10)];
  return b + 0.5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

void add_spine(std::vector<Part>& parts) {
  for (int i = 0; i < kVertebrae; ++i) add_vertebra(parts, i);
  for (int i = 0; i < kVertebrae; ++i) {  // the disc above vertebra i
    const float z = vertebra_z(i) + pitch(i) / 2, s = vertebra_size(i);
    parts.push_back({Shape::barrel({0, spine_y(z), z}, {24.f * s, 17.5f * s, pitch(i) * 0.15f}),
                     Organ::Disc, Matter::Disc, Matter::Disc});
  }
  // Sacrum: shrinks and bends backwards below L5, with its own canal.
  parts.push_back({Shape::capsule({0, 76, 100}, {0, 93, 55}, 7, 4), Organ::SpinalCanal,
                   Matter::Cord, Matter::Fat, 0.4f});
  parts.push_back({Shape::barrel({0, 51, 99.5f}, {25, 18, 4}, {18, 0, 0}), Organ::Disc,
                   Matter::Disc, Matter::Disc});
  parts.push_back(
      bone(Shape::ellipsoid({0, 66, 88}, {50, 22, 24}, {30, 0, 0}), Organ::Sacrum, 0.22f));
  parts.push_back(
      bone(Shape::ellipsoid({0, 85, 58}, {33, 13, 30}, {15, 0, 0}), Organ::Sacrum, 0.3f));
  parts.push_back(bone(Shape::capsule({0, 88, 32}, {0, 76, 12}, 7, 4), Organ::Sacrum, 0.4f));
}

void add_pelvis(std::vector<Part>& parts) {
  for (const float side : {-1.f, 1.f}) {
    parts.push_back(bone(Shape::ellipsoid({side * 93, 8, 48}, {24, 24, 24}), Organ::Femur, 0.2f));
    parts.push_back(
        bone(Shape::capsule({side * 93, 8, 48}, {side * 132, 16, 24}, 15, 17), Organ::Femur));
    parts.push_back(bone(Shape::capsule({side * 138, 18, 32}, {side * 136, 14, -60}, 19, 15),
                         Organ::Femur, 0.5f));
    // Wing: a plate that flares outwards; column and socket; pubis; ischium with its tuber.
    parts.push_back(
        bone(Shape::ellipsoid({side * 92, 26, 118}, {8, 62, 52}, {-12, side * 22, side * 32}),
             Organ::HipBone, 0.5f));
    parts.push_back(bone(Shape::capsule({side * 135, -12, 148}, {side * 80, 66, 150}, 6, 7),
                         Organ::HipBone, 0.5f));
    parts.push_back(bone(Shape::capsule({side * 62, 58, 104}, {side * 84, 18, 72}, 12, 17),
                         Organ::HipBone, 0.4f));
    parts.push_back(
        bone(Shape::ellipsoid({side * 86, 9, 54}, {31, 32, 32}), Organ::HipBone, 0.28f));
    parts.push_back(bone(Shape::capsule({side * 74, -14, 50}, {side * 10, -46, 36}, 9, 8),
                         Organ::HipBone, 0.45f));
    parts.push_back(bone(Shape::capsule({side * 12, -44, 34}, {side * 48, 22, 0}, 7, 8),
                         Organ::HipBone, 0.45f));
    parts.push_back(bone(Shape::capsule({side * 76, 28, 42}, {side * 58, 40, 4}, 13, 15),
                         Organ::HipBone, 0.35f));
  }
  parts.push_back({Shape::capsule({0, -46, 41}, {0, -42, 27}, 8, 8), Organ::CostalCartilage,
                   Matter::Cartilage, Matter::Cartilage});
}

void add_shoulders(std::vector<Part>& parts) {
  parts.push_back(bone(Shape::box({0, -74, 452}, {20, 6, 20}, {-18, 0, 0}), Organ::Sternum, 0.4f));
  parts.push_back(bone(Shape::box({0, -88, 390}, {14, 5, 44}, {-7, 0, 0}), Organ::Sternum, 0.4f));
  parts.push_back({Shape::ellipsoid({0, -91, 338}, {7, 4, 13}), Organ::CostalCartilage,
                   Matter::Cartilage, Matter::Cartilage});
  for (const float side : {-1.f, 1.f}) {
    parts.push_back(bone(Shape::capsule({side * 18, -58, 474}, {side * 70, -44, 488}, 7, 5),
                         Organ::ShoulderBone, 0.6f));
    parts.push_back(bone(Shape::capsule({side * 70, -44, 488}, {side * 138, -2, 500}, 5, 7),
                         Organ::ShoulderBone, 0.6f));
    parts.push_back(
        bone(Shape::ellipsoid({side * 150, 12, 486}, {23, 23, 25}), Organ::ShoulderBone, 0.18f));
    parts.push_back(
        bone(Shape::ellipsoid({side * 100, 82, 432}, {44, 4.5f, 60}, {-10, 0, side * -30}),
             Organ::ShoulderBone, 0.6f));
    parts.push_back(bone(Shape::capsule({side * 74, 86, 462}, {side * 140, 44, 492}, 5, 7),
                         Organ::ShoulderBone, 0.6f));
    parts.push_back(bone(Shape::capsule({side * 122, 60, 470}, {side * 130, 30, 484}, 8, 12),
                         Organ::ShoulderBone, 0.5f));
  }
}

}  // namespace homolog::phantom

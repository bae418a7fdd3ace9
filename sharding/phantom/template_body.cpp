// Outline and wall are tables over z; ribs, lungs and diaphragm are formulas on top of them.
#include "sharding/phantom/template_body.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace homolog::phantom {
namespace {

constexpr float kTableFrom = -80, kTableTo = 620;  // mm, one section each
constexpr float kSkin = 2.6f, kWall = 12;

struct Key {
  float z, half_x, half_y, centre_y, wall_x, wall_y, wall_centre_y;
};
constexpr std::array<Key, 15> kKeys{{
    {-80, 166, 100, 6, 52, 44, 10},
    {0, 178, 110, 6, 66, 62, 8},
    {50, 184, 116, 6, 92, 76, 2},
    {100, 181, 115, 4, 116, 84, -4},
    {140, 171, 110, 2, 138, 87, -6},
    {200, 157, 106, 0, 133, 85, -4},
    {260, 160, 112, 0, 140, 93, 0},
    {320, 167, 118, 0, 144, 100, 2},
    {380, 172, 118, 0, 140, 99, 5},
    {430, 178, 112, 4, 120, 88, 11},
    {465, 183, 104, 9, 94, 72, 16},
    {495, 186, 95, 13, 66, 54, 19},
    {520, 166, 84, 13, 42, 40, 20},
    {550, 108, 74, 10, 34, 36, 14},
    {620, 70, 68, 5, 30, 34, 8},
}};

// How far inside a slightly squared ellipse, in mm along the ray from its centre; below 0 outside.
float ellipse_depth(float x, float y, float half_x, float half_y) {
  const float u2 = (x / half_x) * (x / half_x), v2 = (y / half_y) * (y / half_y);
  const float s =
      std::sqrt(std::max(1e-6f, u2 + v2 - 0.35f * std::min(u2, 1.2f) * std::min(v2, 1.2f)));
  const float rho = std::sqrt(x * x + y * y);
  return s > 0.02f ? rho * (1 - s) / s : std::min(half_x, half_y);
}

// The diaphragm's height: a right dome higher than the left, deep recesses along the wall.
float diaphragm(float x, float y, float wall_depth) {
  const float right = 352 - 0.0062f * ((x + 74) * (x + 74) + 0.7f * (y + 5) * (y + 5));
  const float left = 338 - 0.0066f * ((x - 72) * (x - 72) + 0.7f * (y + 5) * (y + 5));
  const float dome = std::max({right, left, 300.f});
  return dome - 60 * std::exp(-std::max(0.f, wall_depth - kWall) / 9);
}

bool in_mediastinum(Vec p) {
  const float width = p.z < 400 ? 34.f : std::max(20.f, 34 - 0.17f * (p.z - 400));
  const float narrow = p.y < -30 ? std::max(0.25f, 1 + (p.y + 30) / 60) : (p.y > 62 ? 0.8f : 1.f);
  return std::abs(p.x - 3) < width * narrow;
}

}  // namespace

TemplateBody::TemplateBody() : parts_(all_parts()) {
  for (const Part& part : parts_) pointers_.push_back(&part);
  for (float z = kTableFrom; z <= kTableTo; z += 1) {
    std::size_t k = 0;
    while (k + 2 < kKeys.size() && kKeys[k + 1].z <= z) ++k;
    const Key &a = kKeys[k], &b = kKeys[k + 1];
    float t = std::clamp((z - a.z) / (b.z - a.z), 0.f, 1.f);
    const auto mix = [t](float from, float to) { return from + t * (to - from); };
    sections_.push_back({mix(a.half_x, b.half_x), mix(a.half_y, b.half_y),
                         mix(a.centre_y, b.centre_y), mix(a.wall_x, b.wall_x),
                         mix(a.wall_y, b.wall_y), mix(a.wall_centre_y, b.wall_centre_y)});
  }
}

TemplateBody::Section TemplateBody::section(float z) const noexcept {
  // Averaged over 40 mm, so that the outline has no kinks at the keys.
  const auto at = [&](float height) -> const Section& {
    return sections_[static_cast<std::size_t>(std::clamp(height, kTableFrom, kTableTo - 1) -
                                              kTableFrom)];
  };
  const Section &a = at(z - 20), &b = at(z), &c = at(z + 20);
  const auto mean = [](float u, float v, float w) { return 0.25f * u + 0.5f * v + 0.25f * w; };
  return {mean(a.half_x, b.half_x, c.half_x),
          mean(a.half_y, b.half_y, c.half_y),
          mean(a.centre_y, b.centre_y, c.centre_y),
          mean(a.wall_x, b.wall_x, c.wall_x),
          mean(a.wall_y, b.wall_y, c.wall_y),
          mean(a.wall_centre_y, b.wall_centre_y, c.wall_centre_y)};
}

void TemplateBody::select(const Aabb& box, const std::vector<const Part*>& among,
                          std::vector<const Part*>& out) const {
  out.clear();
  for (const Part* part : among) {
    if (part->shape.bounds().overlaps(box)) out.push_back(part);
  }
}

bool TemplateBody::may_hold_body(const Aabb& box) const noexcept {
  return box.low.x < 195 && box.high.x > -195 && box.low.y < 130 && box.high.y > -130;
}

float TemplateBody::back_y(float z) const noexcept {
  const Section s = section(z);
  return s.centre_y + s.half_y;
}

Tissue TemplateBody::at(Vec p, const std::vector<const Part*>& near) const noexcept {
  const Section s = section(p.z);
  const float depth = ellipse_depth(p.x, p.y - s.centre_y, s.half_x, s.half_y);
  if (depth < 0) return {};
  if (depth < kSkin) return {Organ::Skin, Matter::Skin};
  const float wall_depth = ellipse_depth(p.x, p.y - s.wall_centre_y, s.wall_x, s.wall_y);
  const float dome = diaphragm(p.x, p.y, wall_depth);
  Tissue tissue;
  if (part_at(p, wall_depth, dome, near, tissue)) return tissue;
  if (wall_depth < 0) return outside_wall(p, depth);
  if (wall_depth < kWall) return wall(p, s, wall_depth);
  return inside_wall(p, wall_depth, dome);
}

bool TemplateBody::part_at(Vec p, float wall_depth, float dome,
                           const std::vector<const Part*>& near, Tissue& tissue) const noexcept {
  for (const Part* part : near) {
    const float level = part->shape.level(p.x, p.y, p.z);
    if (level < 0) continue;
    if (part->clip != Clip::None && wall_depth < kWall + 2) continue;
    if (part->clip == Clip::Abdomen && p.z > dome - 4) continue;
    tissue = {part->organ, level < part->shell_level ? part->shell : part->core};
    return true;
  }
  return false;
}

Tissue TemplateBody::outside_wall(Vec p, float depth) const noexcept {
  // Subcutaneous fat is thicker in front of the belly and behind the hips; muscle under it, in
  // sheets.
  const float belly = p.y < 0 && p.z < 330 ? 7.f : 0.f;
  const float hips = p.z < 150 ? 9.f * std::clamp((150 - p.z) / 60, 0.f, 1.f) : 0.f;
  if (depth < 9 + belly + hips) return {Organ::Fat, Matter::Fat};
  const float sheet =
      std::sin(depth * 0.21f + p.z * 0.013f) + 0.4f * std::sin(p.x * 0.045f + p.y * 0.06f);
  if (sheet > 1.05f) return {Organ::Fat, Matter::Fat};
  return {Organ::Muscle, Matter::Muscle};
}

Tissue TemplateBody::wall(Vec p, const Section& s, float wall_depth) const noexcept {
  if (p.z < 225 || p.z > 535) return {Organ::Muscle, Matter::Muscle};
  const float angle =
      std::atan2(std::abs(p.x), p.y - s.wall_centre_y);  // 0 at the back, pi in front
  constexpr float pi = std::numbers::pi_v<float>;
  for (int rib = 1; rib <= 12; ++rib) {
    const bool floating = rib >= 11;
    const float drop = rib <= 4 ? 20.f + 17 * static_cast<float>(rib) : (floating ? 50.f : 95.f);
    const float bone_end = floating ? (rib == 11 ? 1.5f : 1.1f) : 2.35f;
    const float end = floating ? bone_end : (rib <= 7 ? pi - 0.1f : 2.75f);
    if (angle > end || angle < 0.16f) continue;
    float z = vertebra_z(17 - rib) - drop * (1 - std::cos(std::min(angle, bone_end))) / 2;
    if (angle > bone_end) z += 26 * (angle - bone_end);  // cartilage climbs to the sternum
    const float across = (p.z - z) / 6.3f, through = (wall_depth - 6) / 4.6f;
    const float r2 = across * across + through * through;
    if (r2 > 1) continue;
    if (angle > bone_end) return {Organ::CostalCartilage, Matter::Cartilage};
    return {Organ::Rib, r2 > 0.4f ? Matter::CorticalBone : Matter::Marrow};
  }
  return {Organ::Muscle, Matter::Muscle};
}

Tissue TemplateBody::inside_wall(Vec p, float wall_depth, float dome) const noexcept {
  const bool above = p.z > dome;
  if (above && !in_mediastinum(p)) {
    const float side = std::abs(p.x) - 42;
    const float apex = 512 - 0.014f * (side * side + (p.y - 20) * (p.y - 20));
    if (p.z < apex) {
      return p.x > 0 ? Tissue{Organ::LungLeft, Matter::Lung}
                     : Tissue{Organ::LungRight, Matter::Lung};
    }
    return {Organ::Muscle, Matter::Muscle};
  }
  if (!above && p.z > dome - 4 && p.z > 262) return {Organ::Muscle, Matter::Muscle};
  if (wall_depth < kWall + 2) return {Organ::Muscle, Matter::Muscle};
  return {Organ::Fat, Matter::Fat};
}

const TemplateBody& template_body() {
  static const TemplateBody body;
  return body;
}

}  // namespace homolog::phantom

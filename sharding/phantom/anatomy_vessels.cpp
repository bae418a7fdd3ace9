// Great vessels, airways, oesophagus, and the first branches inside the lungs, which all people
// share; finer lung texture differs from subject to subject and belongs to appearance.cpp.
#include <cmath>

#include "base/counter_rng.h"
#include "sharding/phantom/anatomy.h"

namespace homolog::phantom {
namespace {

struct Stop {
  Vec at;
  float radius;
};

void tube(std::vector<Part>& parts, const std::vector<Stop>& stops, Organ organ, Matter matter) {
  for (std::size_t i = 1; i < stops.size(); ++i) {
    parts.push_back(
        {Shape::capsule(stops[i - 1].at, stops[i].at, stops[i - 1].radius, stops[i].radius), organ,
         matter, matter});
  }
}

// A fixed tree: each branch splits in two, thinner and shorter, spreading away from the hilum.
void branch(std::vector<Part>& parts, CounterRng& rng, Vec from, Vec way, float length,
            float radius, int depth) {
  const Vec to{from.x + way.x * length, from.y + way.y * length, from.z + way.z * length};
  parts.push_back({Shape::capsule(from, to, radius, radius * 0.8f), Organ::LungVessel,
                   Matter::VenousBlood, Matter::VenousBlood, 0, Clip::Cavity});
  if (depth == 0) return;
  const auto jitter = [&] { return static_cast<float>(rng.uniform(-0.75, 0.75)); };
  for (int child = 0; child < 2; ++child) {
    Vec turn{way.x + jitter(), way.y + jitter(), way.z + jitter()};
    const float norm = std::sqrt(turn.x * turn.x + turn.y * turn.y + turn.z * turn.z) + 1e-3f;
    turn = {turn.x / norm, turn.y / norm, turn.z / norm};
    branch(parts, rng, to, turn, length * 0.85f, radius * 0.72f, depth - 1);
  }
}

void add_airways(std::vector<Part>& parts) {
  // The right main bronchus is steeper and wider.
  tube(parts, {{{0, 14, 580}, 8.5f}, {{1, 16, 500}, 8.5f}, {{-2, 22, 432}, 8.5f}}, Organ::Airway,
       Matter::Airway);
  tube(parts, {{{-2, 22, 432}, 7.5f}, {{-30, 24, 408}, 6.5f}, {{-52, 26, 388}, 5}}, Organ::Airway,
       Matter::Airway);
  tube(parts, {{{-2, 22, 432}, 7}, {{34, 26, 418}, 6}, {{58, 28, 404}, 4.5f}}, Organ::Airway,
       Matter::Airway);
  tube(parts, {{{4, 32, 580}, 6}, {{6, 36, 440}, 6.5f}, {{12, 34, 360}, 7}, {{22, 14, 312}, 8}},
       Organ::Oesophagus, Matter::Wall);
}

void add_aorta(std::vector<Part>& parts) {
  // Up on the right of the trunk, arch to the left, down left of the spine.
  tube(parts,
       {{{-6, -28, 396}, 15.5f},
        {{-12, -30, 430}, 14.5f},
        {{-4, -16, 455}, 13.5f},
        {{16, 8, 462}, 13},
        {{26, 30, 448}, 12.5f},
        {{27, 38, 420}, 12},
        {{22, 34, 330}, 11.5f},
        {{12, 24, 250}, 10.5f},
        {{5, 8, 158}, 9.5f}},
       Organ::Aorta, Matter::ArterialBlood);
  tube(parts, {{{-4, -14, 458}, 6}, {{-22, -8, 490}, 5}, {{-30, 0, 540}, 4}}, Organ::Aorta,
       Matter::ArterialBlood);
  tube(parts, {{{14, 4, 464}, 5}, {{28, 6, 500}, 4.5f}, {{30, 4, 550}, 4}}, Organ::Aorta,
       Matter::ArterialBlood);
}

void add_venae_cavae(std::vector<Part>& parts) {
  tube(parts, {{{-28, -26, 400}, 9.5f}, {{-30, -28, 450}, 9}, {{-34, -30, 492}, 8}},
       Organ::VenaCava, Matter::VenousBlood);
  tube(parts, {{{-34, -30, 484}, 7}, {{8, -42, 474}, 6}, {{44, -36, 486}, 6}}, Organ::VenaCava,
       Matter::VenousBlood);
  tube(parts,
       {{{-24, -8, 352}, 12}, {{-24, 8, 312}, 11.5f}, {{-22, 14, 240}, 11}, {{-18, 10, 146}, 10}},
       Organ::VenaCava, Matter::VenousBlood);
}

void add_branches(std::vector<Part>& parts) {
  // Pulmonary trunk and arteries; renal veins and arteries; portal vein.
  tube(parts, {{{14, -40, 398}, 13}, {{18, -18, 420}, 12}, {{44, 8, 414}, 10}, {{62, 12, 402}, 8}},
       Organ::LungVessel, Matter::VenousBlood);
  tube(parts, {{{16, -8, 416}, 10}, {{-20, 4, 414}, 9.5f}, {{-56, 8, 402}, 8}}, Organ::LungVessel,
       Matter::VenousBlood);
  tube(parts, {{{-20, 12, 230}, 5}, {{-50, 42, 222}, 4}}, Organ::VenaCava, Matter::VenousBlood);
  tube(parts, {{{-18, 2, 240}, 5}, {{20, 6, 244}, 4.5f}, {{52, 40, 238}, 4}}, Organ::VenaCava,
       Matter::VenousBlood);
  tube(parts,
       {{{10, -12, 248}, 6},
        {{-28, -16, 276}, 6.5f},
        {{-60, -8, 292}, 4.5f},
        {{-92, 10, 300}, 3.5f}},
       Organ::VenaCava, Matter::VenousBlood);
}

void add_pelvic_vessels(std::vector<Part>& parts) {
  for (const float side : {-1.f, 1.f}) {
    const float shift = side < 0 ? -4.f : 4.f;
    tube(parts,
         {{{5, 8, 158}, 7.5f},
          {{side * 34 + shift, 12, 118}, 6.5f},
          {{side * 62, -22, 78}, 6},
          {{side * 78, -58, 38}, 5.5f},
          {{side * 84, -58, -20}, 5}},
         Organ::PelvicVessel, Matter::ArterialBlood);
    tube(parts,
         {{{-16, 14, 148}, 8},
          {{side * 36, 24, 112}, 7.5f},
          {{side * 58, -8, 74}, 7},
          {{side * 66, -54, 36}, 6.5f},
          {{side * 72, -52, -20}, 6}},
         Organ::PelvicVessel, Matter::VenousBlood);
  }
}

}  // namespace

// In order of precedence.
void add_vessels(std::vector<Part>& parts) {
  add_airways(parts);
  add_aorta(parts);
  add_venae_cavae(parts);
  add_branches(parts);
  add_pelvic_vessels(parts);
}

void add_lung_trees(std::vector<Part>& parts) {
  const Vec ways[] = {{0.5f, -0.6f, 0.62f},
                      {0.55f, 0.5f, 0.67f},
                      {0.75f, -0.55f, -0.35f},
                      {0.6f, 0.5f, -0.62f},
                      {0.95f, 0.1f, 0.3f}};
  for (int side = 0; side < 2; ++side) {
    const float sign = side == 0 ? 1.f : -1.f;  // left, right: two different trees
    for (std::uint64_t lobe = 0; lobe < 5; ++lobe) {
      CounterRng rng(20'24, "phantom.template.lung", static_cast<std::uint64_t>(side) * 8 + lobe);
      const Vec way{sign * ways[lobe].x, ways[lobe].y, ways[lobe].z};
      branch(parts, rng, {sign * 54, 12, 402}, way, 30, 5.5f, 4);
    }
  }
}

}  // namespace homolog::phantom

// The organs that a phantom's label map tells apart. Numbers are stored in files: append, never
// renumber.
#pragma once

#include <array>
#include <cstdint>

namespace homolog::phantom {

enum class Organ : std::uint8_t {
  Air = 0,
  Table = 1,
  Skin = 2,
  Fat = 3,
  Muscle = 4,
  Vertebra = 5,
  Disc = 6,
  SpinalCanal = 7,
  Rib = 8,
  Sternum = 9,
  HipBone = 10,
  Sacrum = 11,
  Femur = 12,
  ShoulderBone = 13,
  LungLeft = 14,
  LungRight = 15,
  LungVessel = 16,
  Airway = 17,
  Heart = 18,
  Aorta = 19,
  VenaCava = 20,
  PelvicVessel = 21,
  Oesophagus = 22,
  Liver = 23,
  Gallbladder = 24,
  Spleen = 25,
  KidneyLeft = 26,
  KidneyRight = 27,
  Pancreas = 28,
  Stomach = 29,
  Bowel = 30,
  Colon = 31,
  Bladder = 32,
  PelvicOrgan = 33,
  CostalCartilage = 34,
};
inline constexpr int kOrgans = 35;

struct OrganFacts {
  const char* name;       // in labels.json and landmarks.json
  float low_hu, high_hu;  // the mean over the organ, of every body, lies in this range (HU)
};
const OrganFacts& facts(Organ organ) noexcept;

}  // namespace homolog::phantom

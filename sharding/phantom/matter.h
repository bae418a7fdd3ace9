// What a spot is made of: finer than the organ (cortex and marrow of one bone, wall and content).
#pragma once

#include <cstdint>

namespace homolog::phantom {

enum class Matter : std::uint8_t {
  Air,
  Skin,
  Fat,
  Muscle,
  CorticalBone,
  Marrow,
  Cartilage,
  Disc,
  Cord,
  Lung,
  Airway,
  Myocardium,
  ArterialBlood,
  VenousBlood,
  Liver,
  Spleen,
  KidneyCortex,
  KidneyMedulla,
  Pancreas,
  SoftTissue,
  Bile,
  Urine,
  StomachContent,
  BowelContent,
  ColonContent,
  Wall,
};
inline constexpr int kMatters = 26;

}  // namespace homolog::phantom

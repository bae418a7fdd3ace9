// Names and plausible HU of the organs, in the order of their numbers.
#include "sharding/phantom/organ.h"

namespace homolog::phantom {
namespace {

constexpr std::array<OrganFacts, kOrgans> kFacts{{
    {"air", -1010, -950},
    {"table", -220, 120},
    {"skin", -450, 60},
    {"fat", -130, -60},
    {"muscle", 20, 90},
    {"vertebra", 150, 600},
    {"disc", 60, 200},
    {"spinal_canal", 10, 160},
    {"rib", 150, 700},
    {"sternum", 80, 500},
    {"hip_bone", 150, 700},
    {"sacrum", 130, 600},
    {"femur", 200, 800},
    {"shoulder_bone", 120, 700},
    {"lung_left", -900, -680},
    {"lung_right", -900, -680},
    {"lung_vessel", -450, 180},
    {"airway", -1000, -600},
    {"heart", 30, 220},
    {"aorta", 25, 240},
    {"vena_cava", 10, 220},
    {"pelvic_vessel", 0, 220},
    {"oesophagus", -40, 90},
    {"liver", 35, 140},
    {"gallbladder", -40, 50},
    {"spleen", 30, 140},
    {"kidney_left", 10, 170},
    {"kidney_right", 10, 170},
    {"pancreas", 0, 110},
    {"stomach", -500, 120},
    {"bowel", -200, 100},
    {"colon", -600, 80},
    {"bladder", -10, 60},
    {"pelvic_organ", 10, 100},
    {"costal_cartilage", 40, 180},
}};

}  // namespace

const OrganFacts& facts(Organ organ) noexcept { return kFacts[static_cast<std::size_t>(organ)]; }

}  // namespace homolog::phantom

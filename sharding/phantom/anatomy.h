// The template's organs as a list of solids in order of precedence: the first that holds a point
// owns it. Left and right differ where people do (heart, liver, aorta, stomach, kidneys, colon).
#pragma once

#include <vector>

#include "sharding/phantom/matter.h"
#include "sharding/phantom/organ.h"
#include "sharding/phantom/shape.h"

namespace homolog::phantom {

enum class Clip : std::uint8_t { None, Abdomen, Cavity };  // below the diaphragm | inside the wall

struct Part {
  Shape shape;
  Organ organ;
  Matter core, shell;  // shell: where level < shell_level
  float shell_level = 0;
  Clip clip = Clip::None;
};

// z of the centres of L5, L4, ... L1, T12, ... T1: pitch and size shrink cranially.
inline constexpr int kVertebrae = 17;
float vertebra_z(int from_l5) noexcept;  // 0: L5, 16: T1
float spine_y(float z) noexcept;         // centre line of the vertebral bodies

void add_spine(std::vector<Part>& parts);
void add_pelvis(std::vector<Part>& parts);
void add_shoulders(std::vector<Part>& parts);
void add_vessels(std::vector<Part>& parts);
void add_lung_trees(std::vector<Part>& parts);
void add_organs(std::vector<Part>& parts);
void add_deep_muscles(std::vector<Part>& parts);

std::vector<Part> all_parts();  // the above, in order of precedence

}  // namespace homolog::phantom

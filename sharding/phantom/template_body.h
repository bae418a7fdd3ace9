// The template: what organ and what matter lies at a point of the body that all phantoms deform.
// Axes are LPS; x = 0 is the midplane, z = 0 the seat, z grows towards the head (to 540 mm).
#pragma once

#include <vector>

#include "sharding/phantom/anatomy.h"

namespace homolog::phantom {

// z of the template that images may show: thighs below, neck above it are not modelled well.
inline constexpr float kTemplateBottom = 6, kTemplateTop = 525;

struct Tissue {
  Organ organ = Organ::Air;
  Matter matter = Matter::Air;
};

class TemplateBody {
 public:
  TemplateBody();

  // Parts whose bounds meet `box`, out of `among`, precedence kept.
  void select(const Aabb& box, const std::vector<const Part*>& among,
              std::vector<const Part*>& out) const;
  const std::vector<const Part*>& everything() const noexcept { return pointers_; }

  // `near` must hold every part whose bounds contain the point.
  Tissue at(Vec p, const std::vector<const Part*>& near) const noexcept;
  Tissue at(Vec p) const noexcept { return at(p, pointers_); }

  // False for a box that certainly holds only air.
  bool may_hold_body(const Aabb& box) const noexcept;
  float back_y(float z) const noexcept;  // y of the skin behind the midline

 private:
  // Two nested outlines per z: skin, and the wall that encloses chest and belly.
  struct Section {
    float half_x, half_y, centre_y, wall_x, wall_y, wall_centre_y;
  };
  Section section(float z) const noexcept;
  bool part_at(Vec p, float wall_depth, float dome, const std::vector<const Part*>& near,
               Tissue& tissue) const noexcept;
  Tissue wall(Vec p, const Section& s, float wall_depth) const noexcept;
  Tissue outside_wall(Vec p, float depth) const noexcept;
  Tissue inside_wall(Vec p, float wall_depth, float dome) const noexcept;

  std::vector<Section> sections_;
  std::vector<Part> parts_;
  std::vector<const Part*> pointers_;
};

const TemplateBody& template_body();  // built once

}  // namespace homolog::phantom

// Hounsfield units of a subject's tissues: contrast, texture, gas and bowel content are drawn per
// subject, because shared texture would make matching trivial.
#pragma once

#include <array>
#include <vector>

#include "sharding/phantom/body.h"
#include "sharding/phantom/template_body.h"

namespace homolog::phantom {

// Smooth noise of mean 0 and variance about 1, periodic after 32 cells.
class NoiseField {
 public:
  NoiseField(std::uint64_t seed, std::string_view purpose, std::uint64_t index);
  float at(Vec p, float cell_mm) const noexcept;

 private:
  std::vector<float> lattice_;
};

class Appearance {
 public:
  explicit Appearance(const Body& body);
  // HU, before the scanner's blur and noise. `p` in template mm.
  float hu(const Tissue& tissue, Vec p) const noexcept;

 private:
  float lung(Vec p) const noexcept;
  float bowel(Vec p) const noexcept;
  float colon(Vec p) const noexcept;
  float stomach(Vec p) const noexcept;

  std::array<float, kMatters> level_{};  // the subject's HU of each matter
  std::array<float, kOrgans> organ_shift_{};
  float stomach_level_, gas_, loops_;
  NoiseField fine_, coarse_;
};

// White noise smoothed in the plane as a reconstruction kernel does; standard deviation
// `deviation`.
void add_scanner_noise(std::vector<float>& hu, const Grid& grid, float deviation, const Body& body);
// The scanner's point spread: weights 1/5, 3/5, 1/5 along each axis.
void blur(std::vector<float>& hu, const Grid& grid);

}  // namespace homolog::phantom

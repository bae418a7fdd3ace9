// One table gives each matter its mean, its uptake of contrast, its spread over subjects, its
// texture.
#include "sharding/phantom/appearance.h"

#include <algorithm>
#include <cmath>

#include "base/counter_rng.h"

namespace homolog::phantom {
namespace {

struct Look {
  float hu, uptake, spread;  // HU; at contrast 1; standard deviation over subjects
  float texture, cell_mm;    // HU; size of the texture's grain
};
// In the order of Matter.
constexpr std::array<Look, kMatters> kLooks{{
    {-1000, 0, 0, 0, 1}, {15, 0, 6, 0, 1},      {-102, 0, 5, 9, 14}, {52, 8, 4, 10, 11},
    {620, 0, 30, 60, 7}, {190, 10, 15, 38, 9},  {105, 0, 10, 10, 8}, {85, 0, 8, 8, 9},
    {25, 0, 5, 3, 9},    {-825, 12, 22, 22, 9}, {-985, 0, 4, 0, 1},  {46, 55, 4, 7, 10},
    {42, 140, 5, 3, 12}, {42, 90, 5, 3, 12},    {58, 40, 6, 7, 15},  {48, 55, 4, 6, 13},
    {33, 100, 4, 7, 9},  {28, 60, 4, 7, 9},     {38, 40, 6, 14, 7},  {42, 22, 5, 9, 11},
    {9, 0, 5, 2, 12},    {6, 0, 4, 2, 14},      {25, 0, 15, 12, 16}, {22, 0, 8, 10, 9},
    {15, 0, 12, 30, 8},  {42, 28, 4, 6, 8},
}};
constexpr int kLattice = 32;

float mix(float a, float b, float t) { return a + t * (b - a); }

}  // namespace

NoiseField::NoiseField(std::uint64_t seed, std::string_view purpose, std::uint64_t index)
    : lattice_(kLattice * kLattice * kLattice) {
  CounterRng rng(seed, purpose, index);
  for (float& value : lattice_)
    value = static_cast<float>(1.7 * rng.normal());  // interpolation lowers it to about 1
}

float NoiseField::at(Vec p, float cell_mm) const noexcept {
  const auto split = [cell_mm](float v, int& i, float& t) {
    const float u = v / cell_mm + 4096;  // positive: truncation is floor
    i = static_cast<int>(u);
    t = u - static_cast<float>(i);
  };
  int x, y, z;
  float tx, ty, tz;
  split(p.x, x, tx);
  split(p.y, y, ty);
  split(p.z, z, tz);
  constexpr int mask = kLattice - 1;
  const int x0 = x & mask, x1 = (x + 1) & mask;
  const auto line = [&](int j, int k) {
    const float* row =
        &lattice_[static_cast<std::size_t>(((k & mask) * kLattice + (j & mask)) * kLattice)];
    return mix(row[x0], row[x1], tx);
  };
  return mix(mix(line(y, z), line(y + 1, z), ty), mix(line(y, z + 1), line(y + 1, z + 1), ty), tz);
}

Appearance::Appearance(const Body& body)
    : stomach_level_(static_cast<float>(body.parameters().stomach_level)),
      fine_(body.seed(), "phantom.texture.fine", body.index()),
      coarse_(body.seed(), "phantom.texture.coarse", body.index()) {
  CounterRng rng(body.seed(), "phantom.tissue", body.index());
  const auto bounded = [&] { return static_cast<float>(std::clamp(rng.normal(), -2.0, 2.0)); };
  const auto contrast = static_cast<float>(body.parameters().contrast);
  // Phase: early scans light up arteries and renal cortex, late ones veins and liver.
  const auto phase = static_cast<float>(rng.uniform(0.75, 1.25));
  for (std::size_t m = 0; m < kMatters; ++m) {
    const Look& look = kLooks[m];
    const auto matter = static_cast<Matter>(m);
    const bool early = matter == Matter::ArterialBlood || matter == Matter::KidneyCortex ||
                       matter == Matter::Spleen;
    const float timing = early ? phase : 2 - phase;
    level_[m] = look.hu + look.uptake * contrast * timing + look.spread * bounded();
    if (matter == Matter::CorticalBone || matter == Matter::Marrow)
      level_[m] *= static_cast<float>(body.parameters().bone_density);
  }
  for (std::size_t o = 2; o < kOrgans; ++o) organ_shift_[o] = 3 * bounded();
  gas_ = static_cast<float>(rng.uniform(0.4, 1.4));
  loops_ = static_cast<float>(rng.uniform(17, 24));
}

float Appearance::hu(const Tissue& tissue, Vec p) const noexcept {
  switch (tissue.matter) {
    case Matter::Air:
      return -1000;
    case Matter::Lung:
      return lung(p) + organ_shift_[static_cast<std::size_t>(tissue.organ)];
    case Matter::BowelContent:
      return bowel(p);
    case Matter::ColonContent:
      return colon(p);
    case Matter::StomachContent:
      return stomach(p);
    default:
      break;
  }
  const auto m = static_cast<std::size_t>(tissue.matter);
  const Look& look = kLooks[m];
  float hu = level_[m] + organ_shift_[static_cast<std::size_t>(tissue.organ)];
  if (look.texture > 0) hu += look.texture * fine_.at(p, look.cell_mm);
  return hu;
}

float Appearance::lung(Vec p) const noexcept {
  const Look& look = kLooks[static_cast<std::size_t>(Matter::Lung)];
  const float base =
      level_[static_cast<std::size_t>(Matter::Lung)] + 0.35f * p.y;  // denser where it lies
  const float grain = look.texture * coarse_.at(p, 13);
  const float n = fine_.at(p, 5.5f);  // small vessels that no two people share
  return base + grain + (n > 1.5f ? std::min(420.f, 480 * (n - 1.5f)) : 0.f);
}

float Appearance::bowel(Vec p) const noexcept {
  const float n = coarse_.at(p, loops_), m = fine_.at(p, loops_ * 0.8f);
  if (std::abs(n) < 0.2f) return -85 + 12 * m;  // fat between loops
  if (std::abs(n) < 0.42f) return level_[static_cast<std::size_t>(Matter::Wall)];
  if (n > 0 && m > gas_ + 0.5f) return -900;
  return level_[static_cast<std::size_t>(Matter::BowelContent)] + 8 * m;
}

float Appearance::colon(Vec p) const noexcept {
  const float n = coarse_.at(p, 21);
  if (n > gas_ * 0.7f) return -930;
  return level_[static_cast<std::size_t>(Matter::ColonContent)] + 40 * fine_.at(p, 7) - 30;
}

float Appearance::stomach(Vec p) const noexcept {
  if (p.y < stomach_level_) return -960;
  const Look& look = kLooks[static_cast<std::size_t>(Matter::StomachContent)];
  return level_[static_cast<std::size_t>(Matter::StomachContent)] +
         look.texture * coarse_.at(p, look.cell_mm);
}

void blur(std::vector<float>& hu, const Grid& grid) {
  const auto nx = static_cast<std::size_t>(grid.size.x), ny = static_cast<std::size_t>(grid.size.y),
             nz = static_cast<std::size_t>(grid.size.z);
  constexpr float side = 0.2f, middle = 0.6f;
  const auto along = [&](std::size_t lines, auto start, std::size_t count, std::size_t step) {
    for (std::size_t line = 0; line < lines; ++line) {
      float* v = hu.data() + start(line);
      float before = v[0];
      for (std::size_t i = 0; i < count; ++i) {
        const float here = v[i * step], after = v[std::min(i + 1, count - 1) * step];
        v[i * step] = side * (before + after) + middle * here;
        before = here;
      }
    }
  };
  along(
      ny * nz, [&](std::size_t l) { return l * nx; }, nx, 1);
  along(
      nx * nz, [&](std::size_t l) { return (l / nx) * nx * ny + l % nx; }, ny, nx);
  along(
      nx * ny, [&](std::size_t l) { return l; }, nz, nx * ny);
}

void add_scanner_noise(std::vector<float>& hu, const Grid& grid, float deviation,
                       const Body& body) {
  const std::int64_t nx = grid.size.x, ny = grid.size.y;
  std::vector<float> white(static_cast<std::size_t>((nx + 2) * (ny + 2)));
  // Each of the two smoothings, weights 1/4, 1/2, 1/4, keeps 3/8 of the variance.
  const float gain = deviation / 0.375f;
  for (std::int64_t z = 0; z < grid.size.z; ++z) {
    CounterRng rng(body.seed(), "phantom.noise",
                   body.index() * 65536 + static_cast<std::uint64_t>(z));
    for (float& w : white) w = static_cast<float>(rng.normal());
    float* slice = hu.data() + z * nx * ny;
    for (std::int64_t y = 0; y < ny; ++y) {
      const float *a = &white[static_cast<std::size_t>(y * (nx + 2))], *b = a + nx + 2,
                  *c = b + nx + 2;
      for (std::int64_t x = 0; x < nx; ++x) {
        const auto column = [&](std::int64_t i) { return 0.25f * (a[i] + c[i]) + 0.5f * b[i]; };
        slice[y * nx + x] += gain * (0.25f * (column(x) + column(x + 2)) + 0.5f * column(x + 1));
      }
    }
  }
}

}  // namespace homolog::phantom

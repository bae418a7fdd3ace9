#include "data/two_views.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace homolog::data {
namespace {

using Triple = std::array<double, 3>;  // x, y, z, in voxels of the body volume
using Sides = std::array<std::int64_t, 3>;

Sides sides(const Volume& v) { return {v.grid.size.x, v.grid.size.y, v.grid.size.z}; }

// Where a view lies: voxel i of axis a sits at centre + (i - (n-1)/2) * scale.
struct Placement {
  double scale = 1;
  Sides box{};  // grid voxels that the crop spans: 5 % more than the scaled patch
  Sides start{};
};

Placement sized(const ViewPlan& plan, CounterRng& rng) {
  Placement p;
  p.scale = rng.uniform(plan.scale_low, plan.scale_high);
  for (std::size_t a = 0; a < 3; ++a) {
    p.box[a] = static_cast<std::int64_t>(
        std::ceil(1.05 * std::ceil(static_cast<double>(plan.patch_xyz[a]) * p.scale)));
  }
  return p;
}

// A start in [low, high] that keeps the box inside where it fits; centred where it does not.
std::int64_t draw_start(std::int64_t low, std::int64_t high, std::int64_t box, std::int64_t side,
                        CounterRng& rng) {
  const double u = rng.uniform();
  if (box >= side) return (side - box) / 2;
  low = std::clamp<std::int64_t>(low, 0, side - box);
  high = std::clamp<std::int64_t>(high, low, side - box);
  return low + static_cast<std::int64_t>(u * static_cast<double>(high - low + 1));
}

void place(Placement& p, const Sides& side, const Sides* point,
           const std::vector<std::int64_t>& margin, CounterRng& rng) {
  for (std::size_t a = 0; a < 3; ++a) {
    const std::int64_t low = point ? (*point)[a] - p.box[a] + 1 + margin[a] : 0;
    const std::int64_t high = point ? (*point)[a] - margin[a] : side[a];
    p.start[a] = draw_start(low, high, p.box[a], side[a], rng);
  }
}

// Displacements at the nodes of a coarse lattice over the patch, read trilinearly.
class Warp {
 public:
  Warp(const ViewPlan& plan, double scale, CounterRng& rng) : active_(plan.elastic_mm > 0) {
    if (!active_) return;
    const double voxel_mm = plan.spacing_mm * scale;
    std::int64_t count = 3;
    for (std::size_t a = 0; a < 3; ++a) {
      step_[a] = plan.elastic_spacing_mm / voxel_mm;
      nodes_[a] =
          static_cast<std::int64_t>(std::ceil(static_cast<double>(plan.patch_xyz[a]) / step_[a])) +
          2;
      count *= nodes_[a];
    }
    values_.resize(static_cast<std::size_t>(count));
    for (float& v : values_)
      v = static_cast<float>(rng.normal() * plan.elastic_mm / plan.spacing_mm);
  }
  bool active() const { return active_; }
  // Displacement at patch voxel (i, j, k), in grid voxels.
  Triple at(std::int64_t i, std::int64_t j, std::int64_t k) const {
    const Triple u = {static_cast<double>(i) / step_[0], static_cast<double>(j) / step_[1],
                      static_cast<double>(k) / step_[2]};
    Triple sum{};
    for (unsigned corner = 0; corner < 8; ++corner) {
      double w = 1;
      std::int64_t offset = 0;
      for (std::size_t r = 0; r < 3; ++r) {
        const std::size_t a = 2 - r;  // z slowest
        const auto low = static_cast<std::int64_t>(u[a]);
        const bool up = (corner >> a) & 1U;
        w *= up ? u[a] - static_cast<double>(low) : 1 - (u[a] - static_cast<double>(low));
        offset = offset * nodes_[a] + low + (up ? 1 : 0);
      }
      for (std::size_t a = 0; a < 3; ++a)
        sum[a] += w * static_cast<double>(values_[static_cast<std::size_t>(offset * 3) + a]);
    }
    return sum;
  }

 private:
  bool active_;
  Triple step_{};
  Sides nodes_{};
  std::vector<float> values_;
};

// Trilinear HU at a continuous voxel; false: outside (air).
bool sample(const Volume& body, const Triple& at, float& hu) {
  const Sides n = sides(body);
  std::array<std::int64_t, 3> low{}, high{};
  std::array<float, 3> w{};
  for (std::size_t a = 0; a < 3; ++a) {
    if (at[a] < -0.5 || at[a] > static_cast<double>(n[a]) - 0.5) {
      hu = kAirHu;
      return false;
    }
    const double inside = std::clamp(at[a], 0.0, static_cast<double>(n[a] - 1));
    low[a] = static_cast<std::int64_t>(inside);
    high[a] = std::min(low[a] + 1, n[a] - 1);
    w[a] = static_cast<float>(inside - static_cast<double>(low[a]));
  }
  const auto line = [&](std::int64_t z, std::int64_t y) {
    const std::int16_t* row = body.hu.data() + (z * n[1] + y) * n[0];
    return static_cast<float>(row[low[0]]) + w[0] * static_cast<float>(row[high[0]] - row[low[0]]);
  };
  const float a = line(low[2], low[1]), b = line(low[2], high[1]), c = line(high[2], low[1]),
              d = line(high[2], high[1]);
  const float front = a + w[1] * (b - a), back = c + w[1] * (d - c);
  hu = front + w[2] * (back - front);
  return true;
}

PatchView render(const Volume& body, const ViewPlan& plan, const Placement& p, CounterRng& rng) {
  const std::int64_t nx = plan.patch_xyz[0], ny = plan.patch_xyz[1], nz = plan.patch_xyz[2];
  PatchView view{at::empty({1, nz, ny, nx}), at::empty({3, nz, ny, nx}),
                 at::empty({1, nz, ny, nx})};
  float* image = view.image_1ZYX.mutable_data_ptr<float>();
  float* valid = view.valid_1ZYX.mutable_data_ptr<float>();
  float* grid = view.grid_3ZYX.mutable_data_ptr<float>();
  const std::int64_t voxels = nx * ny * nz;
  const Warp warp(plan, p.scale, rng);
  const double sigma = rng.uniform() * plan.noise_hu;
  Triple first{};
  for (std::size_t a = 0; a < 3; ++a) {
    const double centre = static_cast<double>(p.start[a]) + 0.5 * static_cast<double>(p.box[a] - 1);
    first[a] = centre - 0.5 * static_cast<double>(plan.patch_xyz[a] - 1) * p.scale;
  }
  std::int64_t o = 0;
  for (std::int64_t k = 0; k < nz; ++k) {
    for (std::int64_t j = 0; j < ny; ++j) {
      for (std::int64_t i = 0; i < nx; ++i, ++o) {
        Triple at = {first[0] + static_cast<double>(i) * p.scale,
                     first[1] + static_cast<double>(j) * p.scale,
                     first[2] + static_cast<double>(k) * p.scale};
        if (warp.active()) {
          const Triple shift = warp.at(i, j, k);
          for (std::size_t a = 0; a < 3; ++a) at[a] += shift[a];
        }
        float hu = 0;
        valid[o] = sample(body, at, hu) ? 1.0F : 0.0F;
        if (sigma > 0) hu += static_cast<float>(sigma * rng.normal());
        image[o] = plan.intensity(hu);
        for (std::int64_t a = 0; a < 3; ++a)
          grid[a * voxels + o] =
              static_cast<float>(at[static_cast<std::size_t>(a)] * plan.spacing_mm);
      }
    }
  }
  return view;
}

}  // namespace

void declare(Options& o, ViewPlan& p) {
  o.add("data.spacing_mm", p.spacing_mm, "isotropic grid on which SAM works",
        {.min = 0.5, .max = 20, .unit = "mm"});
  o.add("data.patch_xyz", p.patch_xyz, "sides of a view",
        {.min = 16, .max = 512, .unit = "voxels"});
  o.add("data.scale_low", p.scale_low, "smallest scale of a view", {.min = 0.1, .max = 10});
  o.add("data.scale_high", p.scale_high, "largest scale of a view", {.min = 0.1, .max = 10});
  o.add("data.shared_point", p.shared_point, "chance that both views hold one common point",
        {.min = 0, .max = 1});
  o.add("data.margin_xyz", p.margin_xyz, "distance of the common point from a view's border",
        {.min = 0, .max = 256, .unit = "voxels"});
  o.add("data.noise_hu", p.noise_hu, "largest sigma of the noise, drawn per view",
        {.min = 0, .max = 1000, .unit = "HU"});
  o.add("data.elastic_mm", p.elastic_mm, "sigma of a random warp per view, 0: none",
        {.min = 0, .max = 50, .unit = "mm"});
  o.add("data.elastic_spacing_mm", p.elastic_spacing_mm, "distance of the warp's nodes",
        {.min = 5, .max = 500, .unit = "mm"});
}

void validate(const ViewPlan& p) {
  if (p.patch_xyz.size() != 3 || p.margin_xyz.size() != 3) {
    throw Error(Fault::Usage, "data.patch_xyz and data.margin_xyz need three numbers",
                "write x,y,z, for instance 96,96,32");
  }
  for (std::size_t a = 0; a < 3; ++a) {
    if (2 * p.margin_xyz[a] >= p.patch_xyz[a]) {
      throw Error(Fault::Usage, "data.margin_xyz leaves nothing of data.patch_xyz",
                  "use margins below half of the sides");
    }
    if (p.patch_xyz[a] % 16 != 0 && p.patch_xyz[a] % 8 != 0) {
      throw Error(
          Fault::Usage,
          "data.patch_xyz = " + std::to_string(p.patch_xyz[a]) + " on one axis is no multiple of 8",
          "use multiples of objective.sam.coarse_stride");
    }
  }
  if (p.scale_low > p.scale_high)
    throw Error(Fault::Usage, "data.scale_low is above data.scale_high", "swap them");
}

Volume prepare_body(const Volume& scan, const ViewPlan& plan) {
  const Volume whole =
      resample(scan, with_spacing(scan.grid, {plan.spacing_mm, plan.spacing_mm, plan.spacing_mm}));
  const Box box = body_box(whole);
  Volume body;
  body.id = scan.id;
  body.grid = whole.grid;
  body.grid.size = {box.high.x - box.low.x + 1, box.high.y - box.low.y + 1,
                    box.high.z - box.low.z + 1};
  body.grid.origin = whole.grid.to_world(box.low);
  body.hu.reserve(static_cast<std::size_t>(body.grid.voxels()));
  for (std::int64_t z = box.low.z; z <= box.high.z; ++z) {
    for (std::int64_t y = box.low.y; y <= box.high.y; ++y) {
      const std::int16_t* row = whole.hu.data() + whole.grid.offset({box.low.x, y, z});
      body.hu.insert(body.hu.end(), row, row + body.grid.size.x);
    }
  }
  return body;
}

TwoViews cut_two_views(const Volume& body, const ViewPlan& plan, CounterRng& rng) {
  const Sides side = sides(body);
  Placement one = sized(plan, rng), two = sized(plan, rng);
  const bool shared = rng.uniform() < plan.shared_point;
  const Sides point = {static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(side[0]))),
                       static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(side[1]))),
                       static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(side[2])))};
  place(one, side, shared ? &point : nullptr, plan.margin_xyz, rng);
  place(two, side, shared ? &point : nullptr, plan.margin_xyz, rng);
  PatchView first = render(body, plan, one, rng);
  return {std::move(first), render(body, plan, two, rng)};
}

}  // namespace homolog::data

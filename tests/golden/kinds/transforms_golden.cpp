// Resampling, reorientation, rotation, crops and intensity windows against MONAI, scipy,
// torchvision and SimpleITK. Cases are told by their tensors' names, which the tables below read.
#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "data/augment.h"
#include "data/to_network.h"
#include "golden_kind.h"
#include "task/transforms/rearrange.h"
#include "task/transforms/resample.h"
#include "volume/crop.h"

namespace homolog::golden {
namespace {

using nlohmann::json;
using task::Interpolation;
using task::Outside;
using task::Resizing;
using task::Sampling;

constexpr double kDegree = std::numbers::pi / 180;
const std::vector<std::pair<std::string, Interpolation>> kBoth{{"bilinear", Interpolation::Linear},
                                                               {"nearest", Interpolation::Nearest}};

Affine affine_of(const json& rows) {
  Affine a;
  for (int r = 0; r < 4; ++r) {
    for (int c = 0; c < 4; ++c) a.m[static_cast<std::size_t>(4 * r + c)] = rows.at(r).at(c);
  }
  return a;
}

struct Scene {
  explicit Scene(const Fixture& f)
      : fixture(f),
        shape(f.config().at("volume").get<std::vector<std::int64_t>>()),
        size{shape[1], shape[2], shape[3]},
        volume_CXYZ(input(0, shape, 50, 400)),
        labels_CXYZ(at::floor((input(1, shape) + 1) * 1.5)),
        smooth_CXYZ(f.at("in.smooth")) {
    const json& c = f.config();
    ras = {size, affine_of(c.at("affine"))};
    lps = {size, affine_of(c.at("affine_lps"))};
    perm = {size, affine_of(c.at("affine_perm"))};
    oblique = {size, Affine::rotation({0, 0, 12 * kDegree}) * ras.to_world};
  }

  // Values, and the grid where the fixture keeps it.
  void expect(const std::string& name, const at::Tensor& value, const AffineGrid& grid) const {
    fixture.expect(name, value);
    if (!fixture.has(name + ".affine")) return;
    fixture.expect(name + ".affine",
                   at::tensor(at::ArrayRef<double>(grid.to_world.m)).view({4, 4}));
  }
  void expect_resampled(const std::string& name, const at::Tensor& image, const AffineGrid& from,
                        const AffineGrid& to, const Sampling& sampling = {}) const {
    if (fixture.has(name)) expect(name, task::resample(image, from, to, sampling), to);
  }

  const Fixture& fixture;
  std::vector<std::int64_t> shape;
  Index3 size;
  at::Tensor volume_CXYZ, labels_CXYZ, smooth_CXYZ;
  AffineGrid ras, lps, perm, oblique;
};

void check_spacing(const Scene& s) {
  const Point3 iso{1.5, 1.5, 1.5};
  struct Case {
    std::string name;
    Respacing plan;
    Outside outside = Outside::Border;
  };
  const std::vector<Case> cases{
      {"iso1.5", {iso, false, false}},
      {"up", {{0.5, 0.6, 2.0}, false, false}},
      {"keepz", {{1.5, 1.5, -1}, false, false}},
      {"default_diag", {iso, true, false}},
      {"align", {iso, false, false}},  // points are found by index: the same either way
      {"extent", {iso, false, true}},
      {"zeros", {iso, false, false}, Outside::Zero},
      {"same", {{0.8, 0.9, 2.5}, false, false}}};
  for (const Case& one : cases) {
    for (const auto& [mode, interpolation] : kBoth) {
      const at::Tensor& image =
          interpolation == Interpolation::Linear ? s.volume_CXYZ : s.labels_CXYZ;
      s.expect_resampled("spacing." + one.name + "." + mode, image, s.ras,
                         respaced(s.ras, one.plan), {interpolation, one.outside});
    }
  }
  const auto iso_of = [&](const AffineGrid& g, bool diagonal = false) {
    return respaced(g, {iso, diagonal, false});
  };
  s.expect_resampled("spacing.smooth", s.smooth_CXYZ, s.ras, iso_of(s.ras));
  s.expect_resampled("spacing.flipped", s.volume_CXYZ, s.lps, iso_of(s.lps));
  s.expect_resampled("spacing.oblique", s.volume_CXYZ, s.oblique, iso_of(s.oblique));
  s.expect_resampled("spacing.oblique_diag", s.volume_CXYZ, s.oblique, iso_of(s.oblique, true));
  const AxisOrder order = order_to(s.perm.to_world, "RAS");
  const AffineGrid turned = reordered(s.perm, order);
  s.expect_resampled("orient_spacing.perm", task::reorder(s.volume_CXYZ, order), turned,
                     iso_of(turned));
  const AffineGrid itk = respaced_as_itk(s.ras, iso);
  for (const auto& [name, how] : {std::pair{"sitk.linear", Interpolation::Linear},
                                  std::pair{"sitk.nearest", Interpolation::Nearest}}) {
    s.expect_resampled(name, s.volume_CXYZ, s.ras, itk, {how, Outside::ZeroBeyondEdges});
  }
}

void check_orientation(const Scene& s) {
  const std::vector<std::pair<std::string, AffineGrid>> grids{
      {"ras", s.ras}, {"lps", s.lps}, {"perm", s.perm}, {"oblique", s.oblique}};
  for (const auto& [name, grid] : grids) {
    for (const std::string code : {"RAS", "LPS", "RAI"}) {
      const std::string tensor = "orient." + name + "." + code;
      const AxisOrder order = order_to(grid.to_world, code);
      const AxisOrder closest = order_to(grid.to_world, "RAS");  // whatever the code
      if (s.fixture.has(tensor)) {
        s.expect(tensor, task::reorder(s.volume_CXYZ, order), reordered(grid, order));
      }
      if (s.fixture.has(tensor + "_closest")) {
        s.expect(tensor + "_closest", task::reorder(s.volume_CXYZ, closest),
                 reordered(grid, closest));
      }
    }
  }
}

void check_rotation(const Scene& s) {
  const auto turned = [&](double x, double y, double z, bool keep = true) {
    return rotated(s.ras, {x * kDegree, y * kDegree, z * kDegree}, keep);
  };
  const Sampling zeros{Interpolation::Linear, Outside::Zero};
  const auto expect = [&](const std::string& name, const AffineGrid& to, const Sampling& how) {
    s.expect_resampled(name, s.smooth_CXYZ, s.ras, to, how);
  };
  expect("rot_z10.bilinear_border", turned(0, 0, 10), {});
  expect("rot_z10.bilinear_zeros", turned(0, 0, 10), zeros);
  expect("rot_z10.bilinear_zeros_align", turned(0, 0, 10), zeros);
  expect("rot_z10.nearest_zeros", turned(0, 0, 10), {Interpolation::Nearest, Outside::Zero});
  expect("rot_z10.bilinear_zeros_grow", turned(0, 0, 10, false), zeros);
  s.expect_resampled("rot_z10.noise", s.volume_CXYZ, s.ras, turned(0, 0, 10), zeros);
  expect("rot_x10", turned(10, 0, 0), zeros);
  expect("rot_y10", turned(0, 10, 0), zeros);
  expect("rot_xyz", turned(10, -5, 15), zeros);
  expect("rot_scipy", turned(0, 0, -10), {Interpolation::Linear, Outside::ZeroBeyondCentres});
  expect("rot_torchvision.bilinear.10", turned(0, 0, -10), zeros);
  // What pre-training's augmentation does.
  for (const int degrees : {10, -15}) {
    const std::string name = "rot_torchvision.nearest." + std::to_string(degrees);
    if (!s.fixture.has(name)) continue;
    s.fixture.expect(name, data::rotate_in_plane(s.smooth_CXYZ[0], degrees));
  }
}

void check_sizes(const Scene& s) {
  const auto expect = [&](const std::string& name, const Index3& size, Resizing how, bool align) {
    if (s.fixture.has(name)) s.fixture.expect(name, task::resize(s.smooth_CXYZ, size, how, align));
  };
  expect("resize_trilinear", {11, 25, 9}, Resizing::Trilinear, false);
  expect("resize_trilinear_align", {11, 25, 9}, Resizing::Trilinear, true);
  expect("resize_nearest", {11, 25, 9}, Resizing::Nearest, false);
  expect("resize_area", {10, 9, 6}, Resizing::Area, false);
  const Box padded = padded_box(s.size, {26, 16, 15});
  s.expect("pad_sym", task::cut_box(s.smooth_CXYZ, padded), cropped(s.ras, padded));
  const auto body = task::foreground_box(s.smooth_CXYZ > 0.9);
  ASSERT_TRUE(body.has_value());
  const Box wide = grown(*body, {1, 1, 1});
  s.expect("crop_foreground", task::cut_box(s.smooth_CXYZ, wide), cropped(s.ras, wide));
}

void check_intensity(const Scene& s) {
  const auto mapped = [&](const IntensityMap& map, bool clip = true) {
    return task::map_intensity(s.volume_CXYZ, map, clip);
  };
  s.fixture.expect("scale.clip", mapped({-125, 225, 1, 0}));
  s.fixture.expect("scale.noclip", mapped({-125, 225, 1, 0}, false));
  s.fixture.expect("scale.175_250", mapped({-175, 250, 1, 0}));
  s.fixture.expect("scale.pm1", mapped({-1000, 1000, 2, -1}));
  s.fixture.expect("alice_chain", mapped({-125, 225, 1, 0}));
  // A store holds whole HU: from those, its way to the network is the same chain.
  const at::Tensor whole = s.volume_CXYZ.round();
  const at::Tensor stored_BDHW =
      (whole.clamp(-125, 225) + 125).to(at::kShort).permute({0, 3, 2, 1}).flip({2, 3});
  const at::Tensor seen = data::to_network(stored_BDHW.contiguous(), 350).squeeze(1);
  const at::Tensor chain = task::map_intensity(whole, {-125, 225, 1, 0});
  EXPECT_LT((seen - chain).abs().max().item<float>(), 1e-6);
}

// The pre-training crop as a store makes it (LPS, cut, turned for the network), on a volume whose
// voxels hold their own number.
void check_crops(const Scene& s) {
  const auto roi = s.fixture.config().at("crop_roi").get<std::vector<std::int64_t>>();
  const at::Tensor values = input(2, {1, 1, s.size.x, s.size.y, s.size.z}).flatten();
  Volume numbered{"", {s.size, {}}, {}};
  numbered.hu.resize(static_cast<std::size_t>(numbered.grid.voxels()));
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const Index3 at{i / (s.size.y * s.size.z), i / s.size.z % s.size.y, i % s.size.z};
    numbered.at({s.size.x - 1 - at.x, s.size.y - 1 - at.y, at.z}) = static_cast<std::int16_t>(i);
  }
  int number = 0;
  for (const json& p : s.fixture.config().at("crop_points")) {
    const Index3 lps{s.size.x - 1 - p.at(0).get<std::int64_t>(),
                     s.size.y - 1 - p.at(1).get<std::int64_t>(), p.at(2).get<std::int64_t>()};
    Crop crop = cut(numbered, lps, {roi[0], roi[1], roi[2]});
    const at::Tensor stored =
        at::from_blob(crop.hu.data(), {1, roi[2], roi[1], roi[0]}, at::kShort);
    const at::Tensor number_B1XYZ = data::to_network(stored, 1).to(at::kLong);
    const at::Tensor seen = values.index_select(0, number_B1XYZ.flatten().clamp_min(0));
    s.fixture.expect("crop." + std::to_string(number++),
                     seen.view_as(number_B1XYZ) * number_B1XYZ.ge(0));
  }
}

void check(const Fixture& fixture) {
  const Scene scene(fixture);
  check_spacing(scene);
  check_orientation(scene);
  check_rotation(scene);
  check_sizes(scene);
  check_intensity(scene);
  check_crops(scene);
}

const RegisterKind kKind({"transforms",
                          [](const Fixture& f) {
                            return f.config().contains("crop_points") && f.has("in.smooth");
                          },
                          check});

}  // namespace
}  // namespace homolog::golden

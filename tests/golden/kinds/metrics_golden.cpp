// Overlap and surface metrics of stored one-hot masks, isotropic and not, empty classes included.
#include <ATen/ATen.h>

#include "golden_kind.h"
#include "task/overlap_metrics.h"
#include "task/surface_metrics.h"

namespace homolog::golden {
namespace {

using task::Direction;
using task::SurfaceDistances;
using task::SurfaceKind;

constexpr double kTolerance = 1;  // of surface Dice, in every class

// Scores of each case and class without background.
at::Tensor each(const at::Tensor& predicted, const at::Tensor& truth,
                const std::array<double, 3>& spacing, SurfaceKind kind,
                const std::function<double(const SurfaceDistances&)>& score) {
  at::Tensor result = at::empty({truth.size(0), truth.size(1) - 1}, at::kDouble);
  for (std::int64_t b = 0; b < truth.size(0); ++b) {
    for (std::int64_t c = 1; c < truth.size(1); ++c) {
      result[b][c - 1] =
          score(task::surface_distances(predicted[b][c], truth[b][c], spacing, kind));
    }
  }
  return result;
}

void check_surfaces(const Fixture& fixture, const std::string& name,
                    const std::array<double, 3>& spacing) {
  const at::Tensor predicted = fixture.at("in.pred"), truth = fixture.at("in.gt");
  const auto expect = [&](const std::string& metric, const auto& score,
                          SurfaceKind kind = SurfaceKind::Voxels) {
    fixture.expect(metric + "." + name, each(predicted, truth, spacing, kind, score));
  };
  expect("hd95", [](const auto& d) { return task::hausdorff(d, 95); });
  expect("hd100", [](const auto& d) { return task::hausdorff(d, 100); });
  expect("hd95_directed",
         [](const auto& d) { return task::hausdorff(d, 95, Direction::FromPrediction); });
  expect("asd_sym", [](const auto& d) { return task::average_surface_distance(d); });
  expect("asd_dir", [](const auto& d) {
    return task::average_surface_distance(d, Direction::FromPrediction);
  });
  const auto dice = [](const auto& d) { return task::surface_dice(d, kTolerance); };
  expect("nsd", dice);
  expect("nsd_subvoxel", dice, SurfaceKind::Subcell);
}

void check(const Fixture& fixture) {
  const at::Tensor predicted = fixture.at("in.pred"), truth = fixture.at("in.gt");
  const at::Tensor scores = task::dice(predicted, truth);
  fixture.expect("dice.bg0", scores);
  fixture.expect("dice.bg1", task::dice(predicted, truth, {.include_background = true}));
  fixture.expect("dice.ignore_empty0", task::dice(predicted, truth, {.ignore_empty = false}));
  fixture.expect("dice.mean", at::tensor(task::mean_score(scores), at::kDouble));
  fixture.expect("dice.mean_batch", at::tensor(at::ArrayRef<double>(task::mean_per_class(scores))));
  const at::Tensor hd95 = each(predicted, truth, {1, 1, 1}, SurfaceKind::Voxels,
                               [](const auto& d) { return task::hausdorff(d, 95); });
  fixture.expect("hd95.mean_reduction", at::tensor(task::mean_score(hd95), at::kDouble));
  check_surfaces(fixture, "iso", {1, 1, 1});
  check_surfaces(fixture, "aniso",
                 fixture.config().at("spacing_aniso").get<std::array<double, 3>>());
}

const RegisterKind kKind({"overlap and surface metrics",
                          [](const Fixture& f) {
                            return f.has("in.pred") && f.has("in.gt") &&
                                   f.config().contains("spacing_aniso");
                          },
                          check});

}  // namespace
}  // namespace homolog::golden

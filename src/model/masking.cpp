// See masking.h. Cells are drawn on the host and enlarged on the device: a few bytes travel.
#include "model/masking.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "base/counter_rng.h"
#include "base/error.h"
#include "model/to_device.h"

namespace homolog::model {
namespace {

backbone::Size3 cell_grid(const MaskPlan& plan, const backbone::Size3& crop) {
  backbone::Size3 grid{};
  for (int a = 0; a < 3; ++a) {
    if (crop[a] % plan.cell[a] != 0) {
      throw Error(Fault::Usage,
                  "mask: cells of " + std::to_string(plan.cell[a]) +
                      " voxels do not tile a crop side of " + std::to_string(crop[a]),
                  "choose crop sides that are multiples of the cell");
    }
    grid[a] = crop[a] / plan.cell[a];
  }
  if (plan.shape == "column") grid[2] = 1;
  return grid;
}

}  // namespace

std::int64_t masked_cells(const MaskPlan& plan, const backbone::Size3& crop) {
  const backbone::Size3 grid = cell_grid(plan, crop);
  const auto cells = static_cast<double>(grid[0] * grid[1] * grid[2]);
  return static_cast<std::int64_t>(std::ceil(plan.ratio * cells - 1e-9));
}

double visible_share(const MaskPlan& plan, const backbone::Size3& crop) {
  const backbone::Size3 grid = cell_grid(plan, crop);
  return 1.0 - static_cast<double>(masked_cells(plan, crop)) /
                   static_cast<double>(grid[0] * grid[1] * grid[2]);
}

at::Tensor visible_B1XYZ(const MaskPlan& plan, const backbone::Size3& crop, std::uint64_t seed,
                         std::string_view purpose, const std::vector<std::uint64_t>& keys,
                         const at::Device& device) {
  const backbone::Size3 grid = cell_grid(plan, crop);
  const std::int64_t cells = grid[0] * grid[1] * grid[2], masked = masked_cells(plan, crop);
  const auto batch = static_cast<std::int64_t>(keys.size());
  at::Tensor seen = torch::ones({batch, cells});
  auto row = seen.accessor<float, 2>();
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto order =
        CounterRng(seed, purpose, keys[static_cast<std::size_t>(b)]).permutation(cells);
    for (std::int64_t i = 0; i < masked; ++i) row[b][order[static_cast<std::size_t>(i)]] = 0.0F;
  }
  return to_device(seen, device)
      .view({batch, grid[0], 1, grid[1], 1, grid[2], 1})
      .expand({batch, grid[0], crop[0] / grid[0], grid[1], crop[1] / grid[1], grid[2],
               crop[2] / grid[2]})
      .reshape({batch, 1, crop[0], crop[1], crop[2]});
}

}  // namespace homolog::model

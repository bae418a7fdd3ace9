// See position_table.h.
#include "model/blocks/position_table.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <vector>

#include "model/blocks/tokens.h"

namespace homolog::model {

at::Tensor resize_position_table(const at::Tensor& table_1LC, const backbone::Size3& from,
                                 const backbone::Size3& to) {
  if (from == to) return table_1LC;
  return map_to_tokens(at::upsample_trilinear3d(tokens_to_map(table_1LC, from).contiguous(),
                                                at::IntArrayRef(to),
                                                /*align_corners=*/false));
}

at::Tensor sine_positions_1LC(const backbone::Size3& grid, std::int64_t channels) {
  const std::int64_t waves = channels / 6;
  const at::Tensor fraction_K = torch::arange(waves, torch::kFloat) / static_cast<double>(waves);
  const at::Tensor rate_K = at::pow(10000.0, fraction_K).reciprocal();
  std::vector<at::Tensor> parts;
  for (const std::size_t axis : {1, 0, 2}) {
    std::vector<std::int64_t> shape{1, 1, 1, waves};
    shape[axis] = grid[axis];
    const at::Tensor angle_XYZK = at::outer(torch::arange(grid[axis], torch::kFloat), rate_K)
                                      .view(shape)
                                      .expand({grid[0], grid[1], grid[2], waves});
    parts.push_back(angle_XYZK.sin());
    parts.push_back(angle_XYZK.cos());
  }
  parts.push_back(torch::zeros({grid[0], grid[1], grid[2], channels - 6 * waves}));
  return at::cat(parts, 3).view({1, grid[0] * grid[1] * grid[2], channels});
}

}  // namespace homolog::model

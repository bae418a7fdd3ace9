// See visible_patches.h. Whole rows are picked and put by one flat index, which Torch does
// deterministically on every device.
#include "model/blocks/visible_patches.h"

#include <ATen/TensorIndexing.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "base/error.h"

namespace homolog::model {
namespace {

constexpr const char* kRemedy =
    "mask whole patches (objective.alice.mask_shape), as many in every row";

// Patches per row, from the host's knowledge alone.
std::int64_t count_seen(double share, std::int64_t tokens) {
  const double seen = share * static_cast<double>(tokens);
  const double whole = std::round(seen);
  if (std::abs(seen - whole) > 1e-3 || whole < 1) {
    throw Error(Fault::Usage,
                "mask: a visible share of " + std::to_string(share) + " of " +
                    std::to_string(tokens) + " patches is no positive whole number of them",
                kRemedy);
  }
  return static_cast<std::int64_t>(whole);
}

void check_on_host(const at::Tensor& visible_B1XYZ, const at::Tensor& seen_BL, std::int64_t patch,
                   std::int64_t seen) {
  const at::Tensor mean_BL =
      at::avg_pool3d(visible_B1XYZ, at::IntArrayRef{patch, patch, patch}).flatten(1);
  if (!at::equal(mean_BL, seen_BL)) {
    throw Error(Fault::Usage,
                "mask: its cells are finer than patches of " + std::to_string(patch) + " voxels",
                kRemedy);
  }
  if (!seen_BL.sum(1).eq(seen).all().item<bool>()) {
    throw Error(
        Fault::Usage,
        "mask: a row does not show " + std::to_string(seen) + " patches, as the visible share says",
        kRemedy);
  }
}

}  // namespace

VisiblePatches::VisiblePatches(const backbone::View& view, const backbone::Size3& grid,
                               std::int64_t patch)
    : tokens_(grid[0] * grid[1] * grid[2]) {
  if (!view.visible_B1XYZ.defined()) return;
  using at::indexing::None;
  using at::indexing::Slice;
  const at::Tensor& visible_B1XYZ = view.visible_B1XYZ;
  const Slice one_a_patch(None, None, patch);
  const at::Tensor seen_BL =
      visible_B1XYZ.index({Slice(), Slice(), one_a_patch, one_a_patch, one_a_patch}).flatten(1);
  const std::int64_t seen = count_seen(view.visible_share, tokens_);
  if (visible_B1XYZ.device().is_cpu()) check_on_host(visible_B1XYZ, seen_BL, patch, seen);
  if (seen == tokens_) return;
  const at::Tensor order_BL = at::argsort(seen_BL, /*stable=*/true, /*dim=*/1, /*descending=*/true);
  const at::Tensor first_B1 =
      at::arange(seen_BL.size(0), order_BL.options()).unsqueeze(1) * tokens_;
  rows_N_ = (order_BL.narrow(1, 0, seen) + first_B1).flatten();
}

at::Tensor VisiblePatches::pick(const at::Tensor& tokens_BLC) const {
  if (all()) return tokens_BLC;
  return tokens_BLC.flatten(0, 1)
      .index_select(0, rows_N_)
      .view({tokens_BLC.size(0), -1, tokens_BLC.size(2)});
}

at::Tensor VisiblePatches::put_back(const at::Tensor& seen_BNC,
                                    const at::Tensor& filler_11C) const {
  const std::int64_t rows = seen_BNC.size(0), width = seen_BNC.size(2);
  // With nothing to fill in, the filler still takes part, so that its gradient is there (0).
  const at::Tensor rows_N =
      all() ? at::arange(rows * tokens_, seen_BNC.options().dtype(at::kLong)) : rows_N_;
  return filler_11C.to(seen_BNC.dtype())
      .expand({1, rows * tokens_, width})
      .squeeze(0)
      .index_copy(0, rows_N, seen_BNC.flatten(0, 1))
      .view({rows, tokens_, width});
}

}  // namespace homolog::model

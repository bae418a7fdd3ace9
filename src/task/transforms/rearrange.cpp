#include "task/transforms/rearrange.h"

#include <ATen/ATen.h>

#include <array>
#include <vector>

#include "base/error.h"

namespace homolog::task {
namespace {

void check_four_axes(const at::Tensor& image_CXYZ, const char* what) {
  if (image_CXYZ.dim() == 4) return;
  throw Error(Fault::Data,
              std::string(what) + " got a tensor of " + std::to_string(image_CXYZ.dim()) + " axes",
              "give it as channels, X, Y, Z");
}

}  // namespace

at::Tensor reorder(const at::Tensor& image_CXYZ, const AxisOrder& order) {
  check_four_axes(image_CXYZ, "a change of axes");
  std::vector<std::int64_t> permutation{0}, flipped;
  for (std::size_t a = 0; a < 3; ++a) {
    permutation.push_back(1 + order.from[a]);
    if (order.flip[a]) flipped.push_back(1 + static_cast<std::int64_t>(a));
  }
  return image_CXYZ.permute(permutation).flip(flipped).contiguous();
}

at::Tensor cut_box(const at::Tensor& image_CXYZ, const Box& box, double fill) {
  check_four_axes(image_CXYZ, "a crop");
  const std::array<std::int64_t, 3> low{box.low.x, box.low.y, box.low.z},
      high{box.high.x, box.high.y, box.high.z};
  std::vector<std::int64_t> size{image_CXYZ.size(0)};
  for (std::size_t a = 0; a < 3; ++a) size.push_back(high[a] - low[a] + 1);
  if (size[1] < 1 || size[2] < 1 || size[3] < 1) throw Error(Fault::Data, "a crop without voxels");
  at::Tensor result = at::full(size, fill, image_CXYZ.options());
  at::Tensor to = result, from = image_CXYZ;
  for (std::size_t a = 0; a < 3; ++a) {
    const auto axis = static_cast<std::int64_t>(a) + 1;
    const std::int64_t begin = std::max<std::int64_t>(low[a], 0),
                       end = std::min(high[a] + 1, image_CXYZ.size(axis));
    if (begin >= end) return result;  // all outside
    to = to.narrow(axis, begin - low[a], end - begin);
    from = from.narrow(axis, begin, end - begin);
  }
  to.copy_(from);
  return result;
}

std::optional<Box> foreground_box(const at::Tensor& mask_CXYZ) {
  check_four_axes(mask_CXYZ, "a foreground's box");
  const at::Tensor any_XYZ = mask_CXYZ.to(at::kBool).any(0);
  std::array<std::int64_t, 3> low{}, high{};
  for (std::size_t a = 0; a < 3; ++a) {
    const auto axis = static_cast<std::int64_t>(a);
    // The other two axes, the later one first so that the earlier keeps its number.
    const at::Tensor along = any_XYZ.any(axis == 2 ? 1 : 2).any(axis == 0 ? 1 : 0);
    const at::Tensor at = along.nonzero();
    if (at.size(0) == 0) return std::nullopt;
    low[a] = at[0][0].item<std::int64_t>();
    high[a] = at[at.size(0) - 1][0].item<std::int64_t>();
  }
  return Box{{low[0], low[1], low[2]}, {high[0], high[1], high[2]}};
}

at::Tensor map_intensity(const at::Tensor& image, const IntensityMap& map, bool clip) {
  at::Tensor value = image.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  value.sub_(map.low_hu).div_(map.high_hu - map.low_hu).mul_(map.range).add_(map.shift);
  if (clip) value.clamp_(map.shift, map.shift + map.range);
  return value;
}

}  // namespace homolog::task

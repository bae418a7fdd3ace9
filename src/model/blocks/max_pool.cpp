#include "model/blocks/max_pool.h"

#include <ATen/Context.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace homolog::model {

at::Tensor max_pool(const at::Tensor& map_BCXYZ, const backbone::Size3& kernel,
                    const backbone::Size3& stride, const backbone::Size3& padding) {
  if (!at::globalContext().deterministicAlgorithms())
    return at::max_pool3d(map_BCXYZ, kernel, stride, padding);
  const std::int64_t batch = map_BCXYZ.size(0), channels = map_BCXYZ.size(1),
                     sides = map_BCXYZ.size(2);
  const at::Tensor planes = at::max_pool2d(map_BCXYZ.flatten(1, 2), {kernel[1], kernel[2]},
                                           {stride[1], stride[2]}, {padding[1], padding[2]});
  const std::int64_t y = planes.size(2), z = planes.size(3);
  return at::max_pool2d(planes.view({batch, channels, sides, y * z}), {kernel[0], 1},
                        {stride[0], 1}, {padding[0], 0})
      .unflatten(3, {y, z});
}

}  // namespace homolog::model

// Maxima over boxes of a map. Torch's 3-D pool has no deterministic backward pass on a GPU; its 2-D
// pools have one, so deterministic mode pools plane by plane, then along the first axis.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/backbone.h"

namespace homolog::model {

// Of boxes of `kernel` voxels, `stride` apart, beginning `padding` before the map; as max_pool3d.
// (B, C, X, Y, Z) -> (B, C, X', Y', Z').
at::Tensor max_pool(const at::Tensor& map_BCXYZ, const backbone::Size3& kernel,
                    const backbone::Size3& stride, const backbone::Size3& padding);

}  // namespace homolog::model

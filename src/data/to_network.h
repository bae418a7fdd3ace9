// The one place where stored integers become network input: LPS [z][y][x] -> RAS+ (X, Y, Z), [0,
// 1]. One pass on the tensor's device: flip x and y, permute, scale (method.md 2.2, D5; design
// section 2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace homolog::data {

// `stored_BDHW`: int16, HU - window_low in [0, window_width], LPS+. Result (B,1,X,Y,Z), float32,
// contiguous, RAS+: value = stored / window_width. A landmark at (Rx/2-1, Ry/2-1, Rz/2) of the
// stored crop stands at R/2 on each axis of the result.
at::Tensor to_network(const at::Tensor& stored_BDHW, int window_width);

// Takes the crop out of its margin, moved by up to `margin` voxels on each axis: one shift per
// sample, from (seed, epoch, id), so that query and key of a pair move alike. margin 0: the input.
// `shift` false: the middle.
at::Tensor take_crop(const at::Tensor& stored_BDHW, int margin,
                     const std::vector<std::uint64_t>& ids, std::uint64_t seed, std::uint64_t epoch,
                     bool shift);

}  // namespace homolog::data

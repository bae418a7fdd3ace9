// The target network's view: small in-plane rotation, then noise (method.md 2.6).
// Each sample draws from (seed, epoch, id, view) alone: neither rank, thread nor batch changes it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace homolog::data {

struct AugmentPlan {
  double rotation_degrees = 15;  // angle ~ U(-r, r), one for all axial slices
  double noise = 0.1;  // standard deviation, in units of the [0, 1] scale; not clipped after
};

enum class View : std::uint64_t { Query = 0, Key = 1 };

// `crop_B1XYZ`: float32, any device. Rotation about the centre of the (X, Y) plane, nearest voxel,
// 0 outside. Returns a new tensor. REQUIRES: ids.size() == B.
at::Tensor augment(const at::Tensor& crop_B1XYZ, const std::vector<std::uint64_t>& ids,
                   std::uint64_t seed, std::uint64_t epoch, View view,
                   const AugmentPlan& plan = {});

// All axial slices of (X, Y, Z) turned about the centre of the (X, Y) plane, nearest voxel, 0
// outside: a positive angle turns X towards Y.
at::Tensor rotate_in_plane(const at::Tensor& image_XYZ, double degrees);

// For each (x, y) of an X*Y plane the flat index that it is taken from, -1 outside.
std::vector<std::int64_t> rotation_source(std::int64_t x_size, std::int64_t y_size, double degrees);

}  // namespace homolog::data

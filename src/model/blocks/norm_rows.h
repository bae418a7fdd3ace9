// The loops of norm_activation.h on plain pointers, one map of one channel at a time.
#pragma once

#include <cstdint>

namespace homolog::model {

// Where it is known, what is added before the activation; else nullptr.
using Shortcut = const float*;

// In place: x becomes leaky((x - mean) * rstd + shortcut), with the map's own mean and
// rstd = 1 / sqrt(variance + epsilon), which is returned. `slope`: of the leaky ReLU, above 0.
float normalise_row(float* x, Shortcut shortcut, std::int64_t voxels, float slope, float epsilon);

// From the output y and its gradient: the gradient of x as it was before normalise_row, and, unless
// null, that of the shortcut.
struct RowGradients {
  float* of_x;
  float* of_shortcut;
};
void row_gradients(const float* y, Shortcut shortcut, const float* of_y, std::int64_t voxels,
                   float rstd, float slope, const RowGradients& out);

}  // namespace homolog::model

// A CPU's version of src/model/attention/tensor_core.cuh: the same fragments, every thread's
// brought together and multiplied as matrices.
#pragma once

#include <cuda_runtime.h>

#include "base/bf16_pair.cuh"
#include "model/attention/fragments.cuh"

namespace homolog {
namespace model {
namespace attention {

// The `which`th (0 or 1) of a pair.
inline float half_of(unsigned pair, int which) { return which == 0 ? low_of(pair) : high_of(pair); }

inline void multiply(const Rows16& a, const Columns8& b, Sums16x8& sums) {
  struct Both {
    Rows16 rows;
    Columns8 columns;
  };
  const Both mine = {a, b};
  Both all[32];
  kernels_on_cpu::meet_warp(&mine, all, sizeof mine);
  float row[16][16], column[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    for (int half = 0; half < 2; ++half) {
      for (int part = 0; part < 4; ++part)
        row[g + 8 * (part % 2)][2 * t + 8 * (part / 2) + half] =
            half_of(all[lane].rows.pair[part], half);
      for (int part = 0; part < 2; ++part)
        column[2 * t + 8 * part + half][g] = half_of(all[lane].columns.pair[part], half);
    }
  }
  const int g = kernels_on_cpu::lane() / 4, t = kernels_on_cpu::lane() % 4;
  for (int i = 0; i < 4; ++i) {
    for (int k = 0; k < 16; ++k) sums.at[i] += row[g + 8 * (i / 2)][k] * column[k][2 * t + i % 2];
  }
}

}  // namespace attention
}  // namespace model
}  // namespace homolog

// Products of a warp's 32 threads on tensor cores, of bfloat16 in pairs (base/bf16_pair.cuh). PTX
// ISA, "Matrix Fragments for mma.m16n8k16", from compute capability 8.0. Tests put a CPU's version
// of this file in its place (tests/kernels/on_cpu).
//
// With g = lane / 4 and t = lane % 4 a thread holds, of
//   rows (16 x 16):     (g, 2t..), (g + 8, 2t..), (g, 2t + 8..), (g + 8, 2t + 8..), two neighbours
//   each columns (16 x 8):   (2t.., g), (2t + 8.., g), two neighbours in a column each sums (16 x
//   8):      (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
#pragma once

#include <cuda_runtime.h>

namespace homolog {
namespace model {
namespace attention {

struct Rows16 {
  unsigned pair[4];
};
struct Columns8 {
  unsigned pair[2];
};
struct Sums16x8 {
  float at[4];
};

// sums += rows x columns
__device__ inline void multiply(const Rows16& a, const Columns8& b, Sums16x8& sums) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums.at[0]), "+f"(sums.at[1]), "+f"(sums.at[2]), "+f"(sums.at[3])
      : "r"(a.pair[0]), "r"(a.pair[1]), "r"(a.pair[2]), "r"(a.pair[3]), "r"(b.pair[0]),
        "r"(b.pair[1]));
}

}  // namespace attention
}  // namespace model
}  // namespace homolog

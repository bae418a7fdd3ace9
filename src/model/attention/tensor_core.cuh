// Products of a warp's 32 threads on tensor cores, of bfloat16 in pairs (base/bf16_pair.cuh). PTX
// ISA, "Matrix Fragments for mma.m16n8k16", from compute capability 8.0. Tests put a CPU's version
// of this file in its place (tests/kernels/on_cpu).
#pragma once

#include <cuda_runtime.h>

#include "model/attention/fragments.cuh"

namespace homolog {
namespace model {
namespace attention {

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

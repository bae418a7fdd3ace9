// Two bfloat16 in 32 bits, the first in the low half as in memory. Tests put a CPU's version of
// this file in its place (tests/kernels/on_cpu).
#pragma once

#include <cuda_runtime.h>

namespace homolog {

// Rounded to nearest, ties to even.
__device__ inline unsigned bf16_pair(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

__device__ inline float low_of(unsigned pair) { return __uint_as_float(pair << 16); }
__device__ inline float high_of(unsigned pair) { return __uint_as_float(pair & 0xFFFF0000u); }

}  // namespace homolog

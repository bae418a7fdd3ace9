// A CPU's version of src/base/bf16_pair.cuh.
#pragma once

#include <cuda_runtime.h>

namespace homolog {

inline unsigned bf16_bits(float value) {
  if (std::isnan(value)) return 0x7FFFu;
  const unsigned bits = __float_as_uint(value);
  return (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
}

inline unsigned bf16_pair(float low, float high) { return bf16_bits(low) | bf16_bits(high) << 16; }
inline float low_of(unsigned pair) { return __uint_as_float(pair << 16); }
inline float high_of(unsigned pair) { return __uint_as_float(pair & 0xFFFF0000u); }

}  // namespace homolog

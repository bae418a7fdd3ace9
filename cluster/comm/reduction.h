// Element by element: how two ranks' values become one, on the host.
#pragma once

#include <cstdint>

#include "cluster/comm/communicator.h"

namespace homolog::comm {

std::size_t size_of(Scalar type);  // bytes

// bfloat16 to nearest, ties to even; a NaN stays one.
float from_bf16(std::uint16_t bits);
std::uint16_t to_bf16(float value);

// into[i] = how(from[i], into[i]) for `count` elements. bfloat16 is computed in float and rounded.
void combine(const void* from, void* into, std::size_t count, Scalar type, Reduce how);

}  // namespace homolog::comm

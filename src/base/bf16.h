// A bfloat16 where no library's type is known. C++17: nvcc reads it, too.
#pragma once

#include <cstdint>

namespace homolog {

struct Bf16 {
  std::uint16_t bits;  // the upper half of a float32
};

}  // namespace homolog

#pragma once

#include "model/attention/kernel.h"

namespace homolog::model::attention {

// The code of AVX-512's kernel, compiled for AVX2, so that it is tested where AVX-512 is not: each
// vector of 16 floats takes two registers.
extern const Kernel k16LanesOnAvx2;

}  // namespace homolog::model::attention

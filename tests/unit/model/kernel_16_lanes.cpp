// See kernel_16_lanes.h.
#include "tests/unit/model/kernel_16_lanes.h"

#include "model/attention/kernel_of_lanes.h"

namespace homolog::model::attention {

constinit const Kernel k16LanesOnAvx2 = kernel_of_lanes<16>("16 lanes on AVX2");

}  // namespace homolog::model::attention

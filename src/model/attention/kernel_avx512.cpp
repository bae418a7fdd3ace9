// See kernel_of_lanes.h. CMakeLists.txt compiles this file for processors with AVX-512.
#include "model/attention/kernel_of_lanes.h"

namespace homolog::model::attention {

constinit const Kernel kAvx512Kernel = kernel_of_lanes<16>("avx512");

}  // namespace homolog::model::attention

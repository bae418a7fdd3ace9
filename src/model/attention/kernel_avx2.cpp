// See kernel_of_lanes.h. CMakeLists.txt compiles this file for processors with AVX2.
#include "model/attention/kernel_of_lanes.h"

namespace homolog::model::attention {

constinit const Kernel kAvx2Kernel = kernel_of_lanes<8>("avx2");

}  // namespace homolog::model::attention

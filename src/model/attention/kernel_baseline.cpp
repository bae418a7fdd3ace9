// See kernel_of_lanes.h. For every processor.
#include "model/attention/kernel_of_lanes.h"

namespace homolog::model::attention {

constinit const Kernel kBaselineKernel = kernel_of_lanes<4>("baseline");

}  // namespace homolog::model::attention

// Memory on a GPU to all-reduce: Torch owns it, so that the communicator need know no CUDA.
#pragma once

#include "cluster/comm/measure.h"

namespace homolog {

// `count` floats on GPU `gpu`, used on Torch's current stream there; alive as long as the result's
// functions are.
comm::DeviceBuffer gpu_buffer(int gpu, std::size_t count);

}  // namespace homolog

// Starting kernels, for .cu files alone. C++17. Without nvcc's <<< >>>, so that any compiler of C++
// reads these files: tests run the kernels on a CPU (tests/kernels).
#pragma once

#include <cuda_runtime.h>

#include "base/cuda_fault.h"

namespace homolog {

template <class T>
struct AsGiven {
  using Type = T;
};

// Starts `kernel` on `stream`, a cudaStream_t, and returns at once. Throws Fault::Environment with
// `name` and CUDA's message where it could not start.
template <class... Arguments>
void launch(const char* name, void (*kernel)(Arguments...), dim3 blocks, int threads, void* stream,
            typename AsGiven<Arguments>::Type... arguments) {
  cudaLaunchConfig_t config = {};
  config.gridDim = blocks;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.stream = static_cast<cudaStream_t>(stream);
  const cudaError_t code = cudaLaunchKernelEx(&config, kernel, arguments...);
  if (code == cudaSuccess) return;
  (void)cudaGetLastError();  // else Torch would report it again
  throw_cuda_fault(name, cudaGetErrorString(code));
}

}  // namespace homolog

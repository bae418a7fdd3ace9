// Stands in for CUDA's header where kernels are compiled for a CPU: every thread of a block is a
// fiber, blocks run one after the other. A warp runs until it must wait for the others, and within
// it a thread until it must wait for the warp, in the order of their numbers or backwards
// (Schedule), so that a forgotten __syncthreads() shows as a wrong result, the same each time. Says
// nothing of speed, of a GPU's memory model or of its rounding.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static  // blocks follow each other
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// Of the fiber that runs.
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace kernels_on_cpu {

enum class Schedule { Forwards, Backwards };

// Throws std::logic_error when a warp meets without some of its threads.
void run(dim3 blocks, dim3 threads, const std::function<void()>& kernel);
void set_schedule(Schedule schedule);
void wait_for_block();
// Every thread of the warp gives `bytes` bytes and gets those of all 32, in the order of threads.
void meet_warp(const void* mine, void* all, std::size_t bytes);

template <class T>
T from_lane(T mine, int lane) {
  T all[32];
  meet_warp(&mine, all, sizeof mine);
  return all[lane & 31];
}

inline int lane() { return static_cast<int>(threadIdx.x % 32); }

}  // namespace kernels_on_cpu

inline void __syncthreads() { kernels_on_cpu::wait_for_block(); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return kernels_on_cpu::from_lane(value, kernels_on_cpu::lane() ^ mask);
}

template <class T>
T atomicAdd(T* at, T value) {
  const T before = *at;
  *at += value;
  return before;
}

template <class T>
T __ldg(const T* at) {
  return *at;
}

inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

using std::max;
using std::min;

// ---- what the host calls ----
using cudaStream_t = void*;
enum cudaError_t { cudaSuccess = 0 };
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "no error"; }

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};

template <class... Wanted, class... Given>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Wanted...),
                               Given&&... arguments) {
  kernels_on_cpu::run(config->gridDim, config->blockDim, [&] { kernel(arguments...); });
  return cudaSuccess;
}

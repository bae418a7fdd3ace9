// Two kernels each way: sums of the parts of all maps, then, with these joined, the result. A map
// is read twice and written once; 16 bytes a thread at a time where maps begin at such addresses.
#include <cuda_runtime.h>

#include "base/bf16_pair.cuh"
#include "base/cuda_launch.cuh"
#include "model/blocks/norm_maps.h"

namespace homolog {
namespace model {
namespace {

constexpr int kThreads = 256, kWarp = 32;
static_assert(kMostParts <= kThreads, "a thread joins a part");

template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
  T at[N];
};

template <int N>
__device__ void read(const float* from, float (&to)[N]) {
  const auto vector = *reinterpret_cast<const Vector<float, N>*>(from);
#pragma unroll
  for (int i = 0; i < N; ++i) to[i] = vector.at[i];
}

template <int N>
__device__ void read(const Bf16* from, float (&to)[N]) {
  const auto vector = *reinterpret_cast<const Vector<Bf16, N>*>(from);
#pragma unroll
  for (int i = 0; i < N; ++i) to[i] = low_of(vector.at[i].bits);
}

template <int N>
__device__ void write(const float (&from)[N], float* to) {
  Vector<float, N> vector;
#pragma unroll
  for (int i = 0; i < N; ++i) vector.at[i] = from[i];
  *reinterpret_cast<Vector<float, N>*>(to) = vector;
}

template <int N>
__device__ void write(const float (&from)[N], Bf16* to) {
  Vector<Bf16, N> vector;
#pragma unroll
  for (int i = 0; i < N; ++i)
    vector.at[i].bits = static_cast<std::uint16_t>(bf16_pair(from[i], 0) & 0xFFFFu);
  *reinterpret_cast<Vector<Bf16, N>*>(to) = vector;
}

// In the order of threads, to all of them.
template <class Number>
__device__ Number sum_of_block(Number x) {
  __shared__ Number of_warp[kThreads / kWarp];
#pragma unroll
  for (int apart = kWarp / 2; apart > 0; apart /= 2) x += __shfl_xor_sync(0xFFFFFFFFu, x, apart);
  __syncthreads();  // sums of an earlier call have been read
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = x;
  __syncthreads();
  Number sum = 0;
#pragma unroll
  for (const Number part : of_warp) sum += part;
  return sum;
}

// What a block has of its map, in voxels.
struct Part {
  long long map, index, begin, end;
  __device__ float count() const { return static_cast<float>(end - begin); }
};

// The index-th of a map's parts; their lengths are multiples of 8, so that vectors stay aligned.
template <class T>
__device__ Part part(const NormMaps<T>& m, long long map, long long index) {
  const long long each = (m.voxels + 8 * m.parts - 1) / (8 * m.parts) * 8,
                  begin = index * each < m.voxels ? index * each : m.voxels;
  return {map, index, begin, begin + each < m.voxels ? begin + each : m.voxels};
}

template <class T>
__device__ Part part_here(const NormMaps<T>& m) {
  return part(m, blockIdx.x / m.parts, blockIdx.x % m.parts);
}

// each(voxel) for all N adjacent voxels of the part, this thread's.
template <int N, class Each>
__device__ void for_voxels(const Part& part, const Each& each) {
#pragma unroll 2
  for (long long i = part.begin + static_cast<long long>(threadIdx.x) * N; i < part.end;
       i += kThreads * N)
    each(i);
}

template <class T>
__device__ float* sums_of(const NormMaps<T>& m, long long map, long long index) {
  return m.sums + (map * m.parts + index) * 2;
}

template <class T>
__device__ void keep_sums(const NormMaps<T>& m, const Part& part, float first, float second) {
  if (threadIdx.x != 0) return;
  float* sums = sums_of(m, part.map, part.index);
  sums[0] = first;
  sums[1] = second;
}

// Mean, and squares of deviations from it, of each part.
template <class T, int N>
__global__ void __launch_bounds__(kThreads) moments_kernel(NormMaps<T> m, const T* x) {
  const Part part = part_here(m);
  const T* map = x + part.map * m.voxels;
  float sum = 0, squares = 0;
  for_voxels<N>(part, [&](long long i) {
    float value[N];
    read(map + i, value);
#pragma unroll
    for (int k = 0; k < N; ++k) sum += value[k];
  });
  const float mean = part.end > part.begin ? sum_of_block(sum) / part.count() : 0;
  for_voxels<N>(part, [&](long long i) {
    float value[N];
    read(map + i, value);
#pragma unroll
    for (int k = 0; k < N; ++k) squares += (value[k] - mean) * (value[k] - mean);
  });
  keep_sums(m, part, mean, sum_of_block(squares));
}

struct Moments {
  float mean, rstd;
};

// Of a whole map: parts are joined as by Chan, Golub and LeVeque (1979), a thread a part.
template <class T>
__device__ Moments joined_moments(const NormMaps<T>& m, long long map) {
  const bool has_part = threadIdx.x < m.parts;
  double count = 0, mean = 0, squares = 0;
  if (has_part) {
    const float* sums = sums_of(m, map, threadIdx.x);
    count = part(m, map, threadIdx.x).count();
    mean = sums[0];
    squares = sums[1];
  }
  const double of_all = sum_of_block(mean * count) / static_cast<double>(m.voxels);
  squares = sum_of_block(squares + (mean - of_all) * (mean - of_all) * count);
  const double variance = squares / static_cast<double>(m.voxels);
  return {static_cast<float>(of_all), static_cast<float>(1 / sqrt(variance + m.epsilon))};
}

template <class T, int N>
__global__ void __launch_bounds__(kThreads) normalise_kernel(NormMaps<T> m, T* x) {
  const Part part = part_here(m);
  const Moments moments = joined_moments(m, part.map);
  if (part.index == 0 && threadIdx.x == 0) m.rstd[part.map] = moments.rstd;
  T* map = x + part.map * m.voxels;
  for_voxels<N>(part, [&](long long i) {
    float value[N], shortcut[N] = {};
    read(map + i, value);
    if (m.shortcut != nullptr) read(m.shortcut + part.map * m.voxels + i, shortcut);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const float sum = (value[k] - moments.mean) * moments.rstd + shortcut[k];
      value[k] = sum > 0 ? sum : sum * m.slope;
    }
    write(value, map + i);
  });
}

// N voxels' gradients before the activation, and their normed values, from the output.
template <int N>
struct Voxels {
  float gradient[N], normed[N];
};

template <int N, class T>
__device__ Voxels<N> voxels_at(const NormMaps<T>& m, const MapGradients<T>& at, long long i) {
  Voxels<N> voxels;
  float y[N], shortcut[N] = {};
  read(at.of_y + i, voxels.gradient);
  read(at.y + i, y);
  if (m.shortcut != nullptr) read(m.shortcut + i, shortcut);
  const float steepness = 1 / m.slope;
#pragma unroll
  for (int k = 0; k < N; ++k) {
    voxels.gradient[k] *= y[k] > 0 ? 1 : m.slope;
    voxels.normed[k] = (y[k] > 0 ? y[k] : y[k] * steepness) - shortcut[k];
  }
  return voxels;
}

// Sums of the gradient g, and of g with the normed values, of each part.
template <class T, int N>
__global__ void __launch_bounds__(kThreads) products_kernel(NormMaps<T> m, MapGradients<T> at) {
  const Part part = part_here(m);
  float sum = 0, product = 0;
  for_voxels<N>(part, [&](long long i) {
    const Voxels<N> voxels = voxels_at<N>(m, at, part.map * m.voxels + i);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      sum += voxels.gradient[k];
      product += voxels.gradient[k] * voxels.normed[k];
    }
  });
  sum = sum_of_block(sum);
  keep_sums(m, part, sum, sum_of_block(product));
}

// d x = rstd * (g - mean(g) - normed * mean(g * normed))
template <class T, int N>
__global__ void __launch_bounds__(kThreads) gradients_kernel(NormMaps<T> m, MapGradients<T> at) {
  const Part part = part_here(m);
  const bool has_part = threadIdx.x < m.parts;
  const float* sums = has_part ? sums_of(m, part.map, threadIdx.x) : nullptr;
  const double count = static_cast<double>(m.voxels),
               sum = sum_of_block(has_part ? static_cast<double>(sums[0]) : 0.0),
               product = sum_of_block(has_part ? static_cast<double>(sums[1]) : 0.0);
  const float mean = static_cast<float>(sum / count),
              mean_product = static_cast<float>(product / count), rstd = m.rstd[part.map];
  for_voxels<N>(part, [&](long long i) {
    const long long voxel = part.map * m.voxels + i;
    const Voxels<N> voxels = voxels_at<N>(m, at, voxel);
    float of_x[N];
#pragma unroll
    for (int k = 0; k < N; ++k)
      of_x[k] = rstd * (voxels.gradient[k] - mean - voxels.normed[k] * mean_product);
    write(of_x, at.of_x + voxel);
    if (at.of_shortcut != nullptr) write(voxels.gradient, at.of_shortcut + voxel);
  });
}

template <class T>
constexpr int kAtOnce = 16 / sizeof(T);

template <class T>
bool is_aligned(const T* at, std::int64_t voxels) {
  return reinterpret_cast<std::uintptr_t>(at) % 16 == 0 && voxels % kAtOnce<T> == 0;
}

template <class T>
unsigned blocks_of(const NormMaps<T>& m) {
  return static_cast<unsigned>(m.maps * m.parts);
}

template <class T, int N>
void normalise(const NormMaps<T>& m, T* x, void* stream) {
  launch("norm's sums", moments_kernel<T, N>, blocks_of(m), kThreads, stream, m, x);
  launch("norm", normalise_kernel<T, N>, blocks_of(m), kThreads, stream, m, x);
}

template <class T>
void normalise_any(const NormMaps<T>& m, T* x, void* stream) {
  if (is_aligned(x, m.voxels) && is_aligned(m.shortcut, m.voxels))
    normalise<T, kAtOnce<T>>(m, x, stream);
  else
    normalise<T, 1>(m, x, stream);
}

template <class T, int N>
void gradients(const NormMaps<T>& m, const MapGradients<T>& at, void* stream) {
  launch("norm gradient's sums", products_kernel<T, N>, blocks_of(m), kThreads, stream, m, at);
  launch("norm gradient", gradients_kernel<T, N>, blocks_of(m), kThreads, stream, m, at);
}

template <class T>
void gradients_any(const NormMaps<T>& m, const MapGradients<T>& at, void* stream) {
  const auto aligned = [&](const T* data) { return is_aligned(data, m.voxels); };
  if (aligned(m.shortcut) && aligned(at.y) && aligned(at.of_y) && aligned(at.of_x) &&
      aligned(at.of_shortcut))
    gradients<T, kAtOnce<T>>(m, at, stream);
  else
    gradients<T, 1>(m, at, stream);
}

}  // namespace

void normalise_maps(const NormMaps<float>& m, float* x, void* stream) {
  normalise_any(m, x, stream);
}
void normalise_maps(const NormMaps<Bf16>& m, Bf16* x, void* stream) { normalise_any(m, x, stream); }
void map_gradients(const NormMaps<float>& m, const MapGradients<float>& at, void* stream) {
  gradients_any(m, at, stream);
}
void map_gradients(const NormMaps<Bf16>& m, const MapGradients<Bf16>& at, void* stream) {
  gradients_any(m, at, stream);
}

}  // namespace model
}  // namespace homolog

// Sums run in float32 over blocks that stay in the first cache, in lanes that compilers turn into
// vectors, and in double over the blocks: as exact for a map of 10^7 voxels as for one of 8.
#include "model/blocks/norm_rows.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace homolog::model {
namespace {

constexpr std::int64_t kLanes = 16, kBlock = 1024;
using Lanes = std::array<float, kLanes>;

double total(const Lanes& lanes) {
  double sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

// Calls each(i, lane) for all i of [begin, end).
template <class Each>
[[gnu::always_inline]] inline void for_lanes(std::int64_t begin, std::int64_t end,
                                             const Each& each) {
  std::int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) each(i + lane, lane);
  for (; i < end; ++i) each(i, i % kLanes);
}

struct Moments {
  double mean = 0, squares = 0;  // of deviations from the mean
};

// Blocks are joined as by Chan, Golub and LeVeque (1979).
Moments moments_of(const float* x, std::int64_t voxels) {
  Moments all;
  for (std::int64_t begin = 0; begin < voxels; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, voxels);
    Lanes sums{}, squares{};
    for_lanes(begin, end, [&](std::int64_t i, std::int64_t lane) { sums[lane] += x[i]; });
    const auto count = static_cast<double>(end - begin), before = static_cast<double>(begin);
    const auto mean = static_cast<float>(total(sums) / count);
    for_lanes(begin, end, [&](std::int64_t i, std::int64_t lane) {
      squares[lane] += (x[i] - mean) * (x[i] - mean);
    });
    const double apart = mean - all.mean;
    all.mean += apart * count / (before + count);
    all.squares += total(squares) + apart * apart * before * count / (before + count);
  }
  return all;
}

struct Leaky {
  float slope, steepness;  // its inverse's
  float operator()(float z) const { return z > 0 ? z : z * slope; }
  float inverse(float y) const { return y > 0 ? y : y * steepness; }
  float slope_at(float y) const { return y > 0 ? 1.0F : slope; }
};

// The normed value at i, from the output.
template <bool kShortcut>
[[gnu::always_inline]] inline float normed(const Leaky& leaky, const float* y, Shortcut shortcut,
                                           std::int64_t i) {
  const float sum = leaky.inverse(y[i]);
  if constexpr (kShortcut) return sum - shortcut[i];
  return sum;
}

// d x = rstd * (g - mean(g) - normed * mean(g * normed)), g the gradient before the activation.
template <bool kShortcut>
void gradients(const float* y, Shortcut shortcut, const float* of_y, std::int64_t voxels,
               float rstd, const Leaky& leaky, const RowGradients& out) {
  double sum = 0, product = 0;
  for (std::int64_t begin = 0; begin < voxels; begin += kBlock) {
    Lanes sums{}, products{};
    for_lanes(begin, std::min(begin + kBlock, voxels), [&](std::int64_t i, std::int64_t lane) {
      const float g = of_y[i] * leaky.slope_at(y[i]);
      sums[lane] += g;
      products[lane] += g * normed<kShortcut>(leaky, y, shortcut, i);
    });
    sum += total(sums);
    product += total(products);
  }
  const auto mean = static_cast<float>(sum / static_cast<double>(voxels)),
             mean_product = static_cast<float>(product / static_cast<double>(voxels));
  float *of_x = out.of_x, *of_shortcut = out.of_shortcut;
  for (std::int64_t i = 0; i < voxels; ++i) {
    const float g = of_y[i] * leaky.slope_at(y[i]);
    of_x[i] = rstd * (g - mean - normed<kShortcut>(leaky, y, shortcut, i) * mean_product);
  }
  if (of_shortcut == nullptr) return;
  for (std::int64_t i = 0; i < voxels; ++i) of_shortcut[i] = of_y[i] * leaky.slope_at(y[i]);
}

}  // namespace

float normalise_row(float* x, Shortcut shortcut, std::int64_t voxels, float slope, float epsilon) {
  const Moments all = moments_of(x, voxels);
  const auto mean = static_cast<float>(all.mean);
  const auto rstd =
      static_cast<float>(1 / std::sqrt(all.squares / static_cast<double>(voxels) + epsilon));
  const Leaky leaky{slope, 1 / slope};
  if (shortcut == nullptr) {
    for (std::int64_t i = 0; i < voxels; ++i) x[i] = leaky((x[i] - mean) * rstd);
  } else {
    for (std::int64_t i = 0; i < voxels; ++i) x[i] = leaky((x[i] - mean) * rstd + shortcut[i]);
  }
  return rstd;
}

void row_gradients(const float* y, Shortcut shortcut, const float* of_y, std::int64_t voxels,
                   float rstd, float slope, const RowGradients& out) {
  const Leaky leaky{slope, 1 / slope};
  if (shortcut == nullptr)
    gradients<false>(y, shortcut, of_y, voxels, rstd, leaky, out);
  else
    gradients<true>(y, shortcut, of_y, voxels, rstd, leaky, out);
}

}  // namespace homolog::model

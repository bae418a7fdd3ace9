// The CUDA kernels of the instance norm, thread by thread on a CPU, against their CPU twin.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/bf16_pair.cuh"
#include "model/blocks/norm_maps.h"
#include "model/blocks/norm_rows.h"

namespace homolog::model {
namespace {

constexpr float kEpsilon = 1e-5F;
using Floats = std::vector<float>;

template <class T>
T as(float value);
template <>
float as<float>(float value) {
  return value;
}
template <>
Bf16 as<Bf16>(float value) {
  return {static_cast<std::uint16_t>(bf16_pair(value, 0) & 0xFFFFU)};
}
float wide(float value) { return value; }
float wide(Bf16 value) { return low_of(value.bits); }

// Numbers of mean `offset`, as T holds them, from a generator of their own.
template <class T>
std::vector<T> numbers(std::int64_t count, std::uint32_t seed, float offset) {
  std::vector<T> all;
  for (std::int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525U + 1013904223U;
    const float x = static_cast<float>(seed >> 8) / 8388608.0F - 1;  // [-1, 1)
    all.push_back(as<T>(2 * x + offset));
  }
  return all;
}

template <class T>
Floats wide(const std::vector<T>& values) {
  Floats all;
  for (const T value : values) all.push_back(wide(value));
  return all;
}

struct Case {
  std::int64_t maps, voxels;
  bool shortcut;
  float slope, offset;
};

template <class T>
struct Results {
  Floats y, rstd, of_x, of_shortcut;
};

template <class T>
Results<T> by_kernels(const Case& c, std::vector<T> x, const std::vector<T>& shortcut,
                      const std::vector<T>& of_y) {
  Floats rstd(static_cast<std::size_t>(c.maps), NAN),
      sums(static_cast<std::size_t>(c.maps * parts_of(c.voxels) * 2), NAN);
  NormMaps<T> m;
  m.maps = c.maps;
  m.voxels = c.voxels;
  m.parts = parts_of(c.voxels);
  m.slope = c.slope;
  m.epsilon = kEpsilon;
  m.shortcut = c.shortcut ? shortcut.data() : nullptr;
  m.rstd = rstd.data();
  m.sums = sums.data();
  normalise_maps(m, x.data(), nullptr);
  std::vector<T> of_x(x.size(), as<T>(NAN)), of_shortcut = of_x;
  map_gradients(m, {x.data(), of_y.data(), of_x.data(), c.shortcut ? of_shortcut.data() : nullptr},
                nullptr);
  return {wide(x), rstd, wide(of_x), c.shortcut ? wide(of_shortcut) : Floats{}};
}

// The twin's results, from the kernels' own output in backward, as it is rounded to T.
template <class T>
Results<T> by_rows(const Case& c, Floats x, const Floats& shortcut, const Floats& of_y,
                   const Floats& y) {
  Results<T> want{x, Floats(static_cast<std::size_t>(c.maps)), x, c.shortcut ? x : Floats{}};
  for (std::int64_t map = 0; map < c.maps; ++map) {
    const std::int64_t at = map * c.voxels;
    const float* const added = c.shortcut ? shortcut.data() + at : nullptr;
    float& rstd = want.rstd[static_cast<std::size_t>(map)];
    rstd = normalise_row(want.y.data() + at, added, c.voxels, c.slope, kEpsilon);
    row_gradients(y.data() + at, added, of_y.data() + at, c.voxels, rstd, c.slope,
                  {want.of_x.data() + at, c.shortcut ? want.of_shortcut.data() + at : nullptr});
  }
  return want;
}

void expect_near(const char* what, const Floats& got, const Floats& want, double near) {
  ASSERT_EQ(got.size(), want.size());
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(want[i])));
    const double apart = std::abs(static_cast<double>(got[i]) - want[i]);
    error = std::isnan(apart) ? INFINITY : std::max(error, apart);
  }
  EXPECT_LE(error, near * largest) << what;
}

template <class T>
void expect_twin(const Case& c, double near) {
  SCOPED_TRACE(std::to_string(c.maps) + " maps of " + std::to_string(c.voxels) + " voxels" +
               (c.shortcut ? ", shortcut" : "") + ", slope " + std::to_string(c.slope));
  const std::int64_t count = c.maps * c.voxels;
  const auto x = numbers<T>(count, 1, c.offset), shortcut = numbers<T>(count, 2, 0),
             of_y = numbers<T>(count, 3, 0.5F);
  for (const auto schedule :
       {kernels_on_cpu::Schedule::Forwards, kernels_on_cpu::Schedule::Backwards}) {
    kernels_on_cpu::set_schedule(schedule);
    const Results<T> got = by_kernels<T>(c, x, shortcut, of_y);
    const Results<T> want = by_rows<T>(c, wide(x), wide(shortcut), wide(of_y), got.y);
    expect_near("y", got.y, want.y, near);
    expect_near("rstd", got.rstd, want.rstd, 1e-5);
    expect_near("of_x", got.of_x, want.of_x, near);
    expect_near("of_shortcut", got.of_shortcut, want.of_shortcut, near);
  }
}

// Maps of one part and of several, of the most parts there are, with and without whole vectors.
const std::vector<Case> kCases = {{3, 2, false, 1, 0},         {2, 27, true, 0.01F, 1},
                                  {2, 4096, false, 0.01F, 3},  {1, 8200, true, 0.01F, -1},
                                  {2, 24007, true, 0.5F, 100}, {1, 1056776, false, 0.01F, 0}};

TEST(NormMapKernels, EqualTheirTwinInFloat32) {
  for (const Case& c : kCases) expect_twin<float>(c, c.offset > 50 ? 1e-4 : 1e-5);
}

TEST(NormMapKernels, EqualTheirTwinInBfloat16) {
  for (const Case& c : kCases) expect_twin<Bf16>(c, 4e-3);  // rounded once
}

}  // namespace
}  // namespace homolog::model

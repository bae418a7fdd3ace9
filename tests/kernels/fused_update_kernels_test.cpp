// The CUDA kernels of the update, thread by thread on a CPU, against their CPU twin.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "train/fused_update.h"

namespace homolog::train {
namespace {

// Six segments in pieces of 700 elements; a third has no target, one is inactive.
struct State {
  std::vector<float> parameter, gradient, moment1, moment2, target;
  std::vector<UpdateSegment> segments;
  std::vector<UpdateChunk> chunks;
  std::vector<double> chunk_sums, squares;

  State() {
    const std::int64_t counts[] = {1, 5000, 700, 701, 33, 30000};
    std::int64_t begin = 0, target_begin = 0;
    for (const std::int64_t count : counts) add(count, begin, target_begin);
    for (auto* values : {&parameter, &gradient, &moment1, &moment2})
      values->resize(static_cast<std::size_t>(begin));
    target.resize(static_cast<std::size_t>(target_begin));
    chunk_sums.assign(chunks.size(), NAN);
    squares.assign(segments.size() + 2, NAN);
    fill(parameter, 1, 1);
    fill(gradient, 2, 3);
    fill(moment1, 3, 1);
    fill(moment2, 4, 1);
    for (float& v : moment2) v = std::abs(v);
    fill(target, 5, 1);
  }

  void add(std::int64_t count, std::int64_t& begin, std::int64_t& target_begin) {
    const auto index = static_cast<std::int32_t>(segments.size());
    UpdateSegment s;
    s.begin = begin;
    s.count = count;
    s.decayed = index % 2;
    s.clipped = index != 4;
    s.active = index != 2;
    s.bias1 = 0.1F * static_cast<float>(index + 1);
    s.bias2_root = 0.2F * static_cast<float>(index + 1);
    s.first_chunk = static_cast<std::int32_t>(chunks.size());
    for (std::int64_t at = 0; at < count; at += 700)
      chunks.push_back(
          {begin + at, static_cast<std::int32_t>(std::min<std::int64_t>(700, count - at)), index});
    s.chunk_count = static_cast<std::int32_t>(chunks.size()) - s.first_chunk;
    if (index % 3 != 0) {
      s.target_begin = target_begin;
      target_begin += count;
    }
    segments.push_back(s);
    begin += count;
  }

  static void fill(std::vector<float>& values, std::uint32_t seed, float scale) {
    for (float& value : values) {
      seed = seed * 1664525U + 1013904223U;
      value = scale * (static_cast<float>(seed >> 8) / 8388608.0F - 1);
    }
  }

  UpdateBuffers buffers() {
    UpdateBuffers b;
    b.parameter = parameter.data();
    b.gradient = gradient.data();
    b.moment1 = moment1.data();
    b.moment2 = moment2.data();
    b.target = target.data();
    b.segments = segments.data();
    b.chunks = chunks.data();
    b.segment_count = static_cast<std::int32_t>(segments.size());
    b.chunk_count = static_cast<std::int32_t>(chunks.size());
    b.chunk_sums = chunk_sums.data();
    b.segment_squares = squares.data();
    return b;
  }
};

void expect_near(const char* what, const std::vector<float>& got, const std::vector<float>& want) {
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], 1e-6 + 1e-5 * std::abs(want[i])) << what << " " << i;
}

void expect_twin(const UpdateRates& rates) {
  for (const auto schedule :
       {kernels_on_cpu::Schedule::Forwards, kernels_on_cpu::Schedule::Backwards}) {
    kernels_on_cpu::set_schedule(schedule);
    State got, want;
    measure_cuda(got.buffers(), nullptr);
    measure_cpu(want.buffers());
    for (std::size_t i = 0; i < want.squares.size(); ++i)
      EXPECT_NEAR(got.squares[i], want.squares[i], 1e-12 * want.squares[i]) << i;
    update_cuda(got.buffers(), rates, nullptr);
    update_cpu(want.buffers(), rates);
    expect_near("parameter", got.parameter, want.parameter);
    expect_near("moment1", got.moment1, want.moment1);
    expect_near("moment2", got.moment2, want.moment2);
    expect_near("target", got.target, want.target);
    EXPECT_EQ(got.gradient, std::vector<float>(got.gradient.size(), 0.0F));
  }
}

TEST(FusedUpdateKernels, AdamWEqualsTheTwin) {
  expect_twin({.learning_rate = 0.01,
               .weight_decay = 0.1,
               .ema_momentum = 0.99,
               .gradient_scale = 0.5,
               .clip = 3});
}

TEST(FusedUpdateKernels, GlobalClippingEqualsTheTwin) {
  expect_twin({.learning_rate = 0.01,
               .weight_decay = 0.1,
               .ema_momentum = 0.9,
               .clip = 1,
               .clip_global = true});
}

TEST(FusedUpdateKernels, SgdWithoutClippingEqualsTheTwin) {
  expect_twin({.learning_rate = 0.01, .weight_decay = 0.1, .ema_momentum = 0.99, .adamw = false});
}

}  // namespace
}  // namespace homolog::train

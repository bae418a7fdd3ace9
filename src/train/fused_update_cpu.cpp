// The CPU version, to which tests hold the CUDA kernel. One body, compiled for the baseline and for
// AVX2 with FMA; which one runs is decided by the processor, once. Loops with roots and divisions
// become vectors only when nobody asks for errno and traps: flags in CMakeLists.txt, as a pragma
// does not reach into the library's inline functions.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "train/fused_update.h"

#if defined(__x86_64__)
#define HOMOLOG_AVX2 __attribute__((target("avx2,fma")))
#else
#define HOMOLOG_AVX2
#endif
#define HOMOLOG_INLINE inline __attribute__((always_inline))

namespace homolog::train {
namespace {

// What the inner loops need, as floats.
struct Step {
  float scale, rate, keep, beta1, beta2, epsilon, bias2_root_inverse, decay, momentum, rest;
};

HOMOLOG_INLINE double square_sum_body(const float* __restrict g, std::int64_t n) {
  constexpr int kLanes = 16;  // a fixed order that vectorises
  double sums[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane)
      sums[lane] += static_cast<double>(g[i + lane]) * g[i + lane];
  }
  for (; i < n; ++i) sums[0] += static_cast<double>(g[i]) * g[i];
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

// The target in the same loop where there is one: five streams side by side take a tenth less time
// than four and then two.
template <bool Ema>
HOMOLOG_INLINE void adamw_loop(const Step& s, float* __restrict p, float* __restrict gradient,
                               float* __restrict m, float* __restrict v, float* __restrict t,
                               std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = gradient[i] * s.scale;
    m[i] = m[i] + (1 - s.beta1) * (g - m[i]);
    v[i] = v[i] * s.beta2 + (1 - s.beta2) * g * g;
    const float denominator = std::sqrt(v[i]) * s.bias2_root_inverse + s.epsilon;
    p[i] = p[i] * s.keep - s.rate * (m[i] / denominator);
    if (Ema) t[i] = s.momentum * t[i] + s.rest * p[i];
    gradient[i] = 0;
  }
}

HOMOLOG_INLINE void adamw_body(const Step& s, float* p, float* g, float* m, float* v, float* t,
                               std::int64_t n) {
  if (t != nullptr)
    adamw_loop<true>(s, p, g, m, v, t, n);
  else
    adamw_loop<false>(s, p, g, m, v, t, n);
}

HOMOLOG_INLINE void sgd_body(const Step& s, float* __restrict p, float* __restrict gradient,
                             float* __restrict m, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = gradient[i] * s.scale + s.decay * p[i];
    m[i] = s.beta1 * m[i] + g;
    p[i] -= s.rate * m[i];
    gradient[i] = 0;
  }
}

HOMOLOG_INLINE void ema_body(const Step& s, float* __restrict t, const float* __restrict p,
                             std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) t[i] = s.momentum * t[i] + s.rest * p[i];
}

// Exponent bits all ones mean infinity or NaN; integers, so that no floating-point flag misleads.
HOMOLOG_INLINE bool finite_body(const float* values, std::int64_t n) {
  std::uint32_t bad = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bad |= static_cast<std::uint32_t>((bits & 0x7F800000u) == 0x7F800000u);
  }
  return bad == 0;
}

struct Kernels {
  double (*square_sum)(const float*, std::int64_t);
  void (*adamw)(const Step&, float*, float*, float*, float*, float*, std::int64_t);
  void (*sgd)(const Step&, float*, float*, float*, std::int64_t);
  void (*ema)(const Step&, float*, const float*, std::int64_t);
  bool (*finite)(const float*, std::int64_t);
};

namespace base {
double square_sum(const float* g, std::int64_t n) { return square_sum_body(g, n); }
void adamw(const Step& s, float* p, float* g, float* m, float* v, float* t, std::int64_t n) {
  adamw_body(s, p, g, m, v, t, n);
}
void sgd(const Step& s, float* p, float* g, float* m, std::int64_t n) { sgd_body(s, p, g, m, n); }
void ema(const Step& s, float* t, const float* p, std::int64_t n) { ema_body(s, t, p, n); }
bool finite(const float* x, std::int64_t n) { return finite_body(x, n); }
}  // namespace base

namespace avx2 {
HOMOLOG_AVX2 double square_sum(const float* g, std::int64_t n) { return square_sum_body(g, n); }
HOMOLOG_AVX2 void adamw(const Step& s, float* p, float* g, float* m, float* v, float* t,
                        std::int64_t n) {
  adamw_body(s, p, g, m, v, t, n);
}
HOMOLOG_AVX2 void sgd(const Step& s, float* p, float* g, float* m, std::int64_t n) {
  sgd_body(s, p, g, m, n);
}
HOMOLOG_AVX2 void ema(const Step& s, float* t, const float* p, std::int64_t n) {
  ema_body(s, t, p, n);
}
HOMOLOG_AVX2 bool finite(const float* x, std::int64_t n) { return finite_body(x, n); }
}  // namespace avx2

const Kernels& kernels() {
  static const Kernels chosen = [] {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      return Kernels{avx2::square_sum, avx2::adamw, avx2::sgd, avx2::ema, avx2::finite};
    }
#endif
    return Kernels{base::square_sum, base::adamw, base::sgd, base::ema, base::finite};
  }();
  return chosen;
}

double clip_factor(const UpdateBuffers& b, const UpdateRates& r, const UpdateSegment& segment,
                   std::int32_t index) {
  if (r.clip <= 0 || segment.clipped == 0) return 1;
  const double square = b.segment_squares[r.clip_global ? b.segment_count + 1 : index];
  return std::min(1.0, r.clip / (std::sqrt(square) * r.gradient_scale + 1e-6));
}

Step step_of(const UpdateBuffers& b, const UpdateRates& r, const UpdateSegment& segment,
             std::int32_t index) {
  const double decay = segment.decayed != 0 ? r.weight_decay : 0;
  Step s{};
  s.scale = static_cast<float>(r.gradient_scale * clip_factor(b, r, segment, index));
  s.rate = static_cast<float>(r.adamw ? r.learning_rate / segment.bias1 : r.learning_rate);
  s.keep = static_cast<float>(1 - r.learning_rate * decay);
  s.beta1 = static_cast<float>(r.beta1);
  s.beta2 = static_cast<float>(r.beta2);
  s.epsilon = static_cast<float>(r.epsilon);
  s.bias2_root_inverse = 1 / segment.bias2_root;
  s.decay = static_cast<float>(decay);
  s.momentum = static_cast<float>(r.ema_momentum);
  s.rest = static_cast<float>(1 - r.ema_momentum);
  return s;
}

void update_chunk(const UpdateBuffers& b, const UpdateRates& r, const UpdateChunk& chunk) {
  const UpdateSegment& segment = b.segments[chunk.segment];
  const Kernels& k = kernels();
  const Step s = step_of(b, r, segment, chunk.segment);
  float* p = b.parameter + chunk.begin;
  float* t = segment.target_begin < 0
                 ? nullptr
                 : b.target + segment.target_begin + (chunk.begin - segment.begin);
  float* g = b.gradient + chunk.begin;
  float* m = b.moment1 + chunk.begin;
  if (segment.active != 0 && r.adamw) {
    k.adamw(s, p, g, m, b.moment2 + chunk.begin, t, chunk.count);
    return;
  }
  if (segment.active != 0)
    k.sgd(s, p, g, m, chunk.count);
  else
    std::fill_n(g, chunk.count, 0.0F);
  if (t != nullptr) k.ema(s, t, p, chunk.count);
}

}  // namespace

void measure_cpu(const UpdateBuffers& b) {
  at::parallel_for(0, b.chunk_count, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      b.chunk_sums[c] = kernels().square_sum(b.gradient + b.chunks[c].begin, b.chunks[c].count);
    }
  });
  std::fill(b.segment_squares, b.segment_squares + b.segment_count + 2, 0.0);
  for (std::int32_t c = 0; c < b.chunk_count; ++c)
    b.segment_squares[b.chunks[c].segment] += b.chunk_sums[c];
  for (std::int32_t s = 0; s < b.segment_count; ++s) {
    b.segment_squares[b.segment_count] += b.segment_squares[s];
    if (b.segments[s].clipped != 0) b.segment_squares[b.segment_count + 1] += b.segment_squares[s];
  }
}

void update_cpu(const UpdateBuffers& b, const UpdateRates& r) {
  at::parallel_for(0, b.chunk_count, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) update_chunk(b, r, b.chunks[c]);
  });
}

bool all_finite_cpu(const float* values, std::int64_t count) {
  return kernels().finite(values, count);
}

}  // namespace homolog::train

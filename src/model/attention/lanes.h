// Vectors of L floats and pairs of them. All of it is local to the file that includes it, because
// each such file is compiled for another processor: shared inline code would be merged at linking.
#pragma once

#include "model/attention/kernel.h"

#define HOMOLOG_INLINE inline __attribute__((always_inline))

namespace homolog::model::attention {
namespace {

template <int L>
struct Lanes {
  typedef float Float __attribute__((vector_size(4 * L)));
  typedef std::int32_t Int __attribute__((vector_size(4 * L)));
  typedef double Double __attribute__((vector_size(4 * L)));
};
template <int L>
using Float = typename Lanes<L>::Float;
template <int L>
using Int = typename Lanes<L>::Int;

template <int L>
HOMOLOG_INLINE Float<L> load(const float* from) {
  Float<L> x;
  __builtin_memcpy(&x, from, sizeof x);
  return x;
}
template <int L>
HOMOLOG_INLINE void store(float* to, Float<L> x) {
  __builtin_memcpy(to, &x, sizeof x);
}
template <int L>
HOMOLOG_INLINE Float<L> splat(float x) {
  return x - Float<L>{};
}
// Lanes 2i and 2i + 1 read from[0] and from[1].
template <int L>
HOMOLOG_INLINE Float<L> splat_two(const float* from) {
  double both;
  __builtin_memcpy(&both, from, sizeof both);
  return (Float<L>)(both - typename Lanes<L>::Double{});
}
// Not a number where b is none.
template <int L>
HOMOLOG_INLINE Float<L> larger(Float<L> a, Float<L> b) {
  return a > b ? a : b;
}

// One row of a panel.
template <int L>
struct Pair {
  Float<L> a, b;

  static HOMOLOG_INLINE Pair of(float x) { return {splat<L>(x), splat<L>(x)}; }
  static HOMOLOG_INLINE Pair read(const float* from) { return {load<L>(from), load<L>(from + L)}; }
  HOMOLOG_INLINE void write(float* to) const {
    store<L>(to, a);
    store<L>(to + L, b);
  }
  HOMOLOG_INLINE void add_product(Pair x, Float<L> y) {
    a += x.a * y;
    b += x.b * y;
  }
};
template <int L>
HOMOLOG_INLINE Pair<L> operator+(Pair<L> x, Pair<L> y) {
  return {x.a + y.a, x.b + y.b};
}
template <int L>
HOMOLOG_INLINE Pair<L> operator-(Pair<L> x, Pair<L> y) {
  return {x.a - y.a, x.b - y.b};
}
template <int L>
HOMOLOG_INLINE Pair<L> operator*(Pair<L> x, Pair<L> y) {
  return {x.a * y.a, x.b * y.b};
}
template <int L>
HOMOLOG_INLINE Pair<L> larger(Pair<L> x, Pair<L> y) {
  return {larger<L>(x.a, y.a), larger<L>(x.b, y.b)};
}

// 2^x for x <= 0, or 2^least where that is more; not a number where x is none.
template <int L>
struct Exp2 {
  Float<L> least, round, c0, c1, c2, c3, c4, c5;

  explicit HOMOLOG_INLINE Exp2(const Exp2Terms& t)
      : least(splat<L>(t.least)),
        round(splat<L>(t.round)),
        c0(splat<L>(t.c[0])),
        c1(splat<L>(t.c[1])),
        c2(splat<L>(t.c[2])),
        c3(splat<L>(t.c[3])),
        c4(splat<L>(t.c[4])),
        c5(splat<L>(t.c[5])) {}
  HOMOLOG_INLINE Float<L> operator()(Float<L> x) const {
    x = larger<L>(least, x);
    const Float<L> shifted = x + round;
    const Float<L> rest = x - (shifted - round);
    const Float<L> p = ((((c5 * rest + c4) * rest + c3) * rest + c2) * rest + c1) * rest + c0;
    return (Float<L>)((Int<L>)p + ((Int<L>)shifted << 23));  // the integer goes to the exponent
  }
  HOMOLOG_INLINE Pair<L> operator()(Pair<L> x) const { return {(*this)(x.a), (*this)(x.b)}; }
};

// What the mask adds to a row of a panel.
template <int L>
HOMOLOG_INLINE Pair<L> masked(std::uint32_t word, float value) {
  Int<L> low, high;
  for (int i = 0; i < L; ++i) {
    low[i] = static_cast<std::int32_t>(1U << i);
    high[i] = static_cast<std::int32_t>(1U << (L + i));
  }
  const Int<L> bits = static_cast<std::int32_t>(word) - Int<L>{}, added = (Int<L>)splat<L>(value);
  return {(Float<L>)(((bits & low) != 0) & added), (Float<L>)(((bits & high) != 0) & added)};
}

}  // namespace
}  // namespace homolog::model::attention

#include "cluster/comm/reduction.h"

#include <algorithm>
#include <bit>

namespace homolog::comm {
namespace {

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a + b);
  }
};
struct Larger {
  template <class T>
  T operator()(T a, T b) const {
    return std::max(a, b);
  }
};
struct Smaller {
  template <class T>
  T operator()(T a, T b) const {
    return std::min(a, b);
  }
};

template <class T, class Operation>
void each(const void* from, void* into, std::size_t count, Operation operation) {
  const T* a = static_cast<const T*>(from);
  T* b = static_cast<T*>(into);
  for (std::size_t i = 0; i < count; ++i) b[i] = operation(a[i], b[i]);
}

template <class Operation>
void each_bf16(const void* from, void* into, std::size_t count, Operation operation) {
  const auto* a = static_cast<const std::uint16_t*>(from);
  auto* b = static_cast<std::uint16_t*>(into);
  for (std::size_t i = 0; i < count; ++i)
    b[i] = to_bf16(operation(from_bf16(a[i]), from_bf16(b[i])));
}

template <class Operation>
void each_of_type(const void* from, void* into, std::size_t count, Scalar type,
                  Operation operation) {
  switch (type) {
    case Scalar::F32:
      return each<float>(from, into, count, operation);
    case Scalar::F64:
      return each<double>(from, into, count, operation);
    case Scalar::BF16:
      return each_bf16(from, into, count, operation);
    case Scalar::I64:
      return each<std::int64_t>(from, into, count, operation);
    case Scalar::U8:
      return each<std::uint8_t>(from, into, count, operation);
  }
}

}  // namespace

std::size_t size_of(Scalar type) {
  switch (type) {
    case Scalar::F32:
      return 4;
    case Scalar::F64:
      return 8;
    case Scalar::BF16:
      return 2;
    case Scalar::I64:
      return 8;
    case Scalar::U8:
      return 1;
  }
  return 1;
}

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

std::uint16_t to_bf16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) return static_cast<std::uint16_t>((bits >> 16) | 0x40);  // stays a NaN
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >>
                                    16);  // nearest, ties to even
}

void combine(const void* from, void* into, std::size_t count, Scalar type, Reduce how) {
  switch (how) {
    case Reduce::Sum:
      return each_of_type(from, into, count, type, Add{});
    case Reduce::Max:
      return each_of_type(from, into, count, type, Larger{});
    case Reduce::Min:
      return each_of_type(from, into, count, type, Smaller{});
  }
}

}  // namespace homolog::comm

// A kernel for vectors of L floats; heads' channels are rounded up to a size that has code.
#pragma once

#include "model/attention/backward_lanes.h"
#include "model/attention/forward_lanes.h"

namespace homolog::model::attention {
namespace {

template <int L, int D>
void backward_window(const Problem& p, int window, int head, float* scratch, float* bias_gradient) {
  constexpr int kInRow = kKeysInRow<L, D>;
  constexpr float kLn2 = 0.693147180559945F;  // undoes the log2(e) in scale
  const BackwardRows b = backward_rows<L, D>(scratch, p.padded);
  read_window<L, D>(p, window, head, b);
  const int mask = p.mask.windows > 0 ? window % p.mask.windows : 0;
  if (p.mask.windows > 0 && p.mask.any[mask] != 0) {
    const std::uint32_t* bits =
        p.mask.of_keys + std::int64_t{mask} * (p.padded / (2 * L)) * p.padded;
    gradients<L, D, true>(p, head, b, bits, bias_gradient);
  } else {
    gradients<L, D, false>(p, head, b, nullptr, bias_gradient);
  }
  from_panels<L, D>(b.k_gradient, p.padded, kLn2, b.g_rows);
  write_rows<D>(p, b.g_rows, window, head, p.k_gradient);
  from_panels<L, D>(b.v_gradient, p.padded, 1, b.g_rows);
  write_rows<D>(p, b.g_rows, window, head, p.v_gradient);
  for (int i = 0; i < p.padded * D; ++i) {
    const float* sum = b.q_gradient + i * kInRow;
    b.g_rows[i] = (kInRow == 2 ? sum[0] + sum[1] : sum[0]) * (p.scale * kLn2);
  }
  write_rows<D>(p, b.g_rows, window, head, p.q_gradient);
}

template <int D>
struct Channels {};

// body(Channels<D>{}) with the smallest D that has code and holds the problem's channels.
template <class Body>
HOMOLOG_INLINE auto with_channels(int channels, const Body& body) {
  if (channels <= 8) return body(Channels<8>{});
  if (channels <= 16) return body(Channels<16>{});
  if (channels <= 24) return body(Channels<24>{});
  if (channels <= 32) return body(Channels<32>{});
  if (channels <= 48) return body(Channels<48>{});
  return body(Channels<kMostChannels>{});
}

template <int L>
std::size_t scratch_of(const Problem& p) {
  return with_channels(p.channels, [&]<int D>(Channels<D>) {
    const std::size_t forward = forward_scratch<D>(p), backward = backward_scratch<L, D>(p);
    return forward > backward ? forward : backward;
  });
}

template <int L>
void forward_part(const Problem& p, const Part& part, float* scratch) {
  with_channels(p.channels, [&]<int D>(Channels<D>) {
    for (int window = part.window_begin; window < part.window_end; ++window) {
      for (int head = part.head_begin; head < part.head_end; ++head)
        forward_window<L, D>(p, window, head, scratch);
    }
  });
}

template <int L>
void backward_part(const Problem& p, const Part& part, float* scratch, float* bias_gradient) {
  const std::int64_t size = std::int64_t{p.padded} * p.padded;
  with_channels(p.channels, [&]<int D>(Channels<D>) {
    for (int window = part.window_begin; window < part.window_end; ++window) {
      for (int head = part.head_begin; head < part.head_end; ++head)
        backward_window<L, D>(p, window, head, scratch,
                              bias_gradient + (head - part.head_begin) * size);
    }
  });
}

template <int L>
constexpr Kernel kernel_of_lanes(const char* name) {
  return {name, L, &scratch_of<L>, &panels_of_bias<L>, &forward_part<L>, &backward_part<L>};
}

}  // namespace
}  // namespace homolog::model::attention

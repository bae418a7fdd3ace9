// See mask_bits.h.
#include "model/attention/mask_bits.h"

#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

namespace homolog::model::attention {
namespace {

constexpr float kLog2e = 1.44269504088896F, kInfinite = 1e29F;

constexpr std::array<std::uint32_t, 32> kBit = [] {
  std::array<std::uint32_t, 32> bit{};
  for (std::uint32_t i = 0; i < 32; ++i) bit[i] = 1U << i;
  return bit;
}();

// One window's table of float masks and where its bits go.
struct Window {
  const float* mask_NN;
  int tokens, padded, panel;
};

// (panel of queries, key): row by row of the mask, one bit of every key's word at a time.
void set_bits_of_queries(const Window& w, std::uint32_t* words) {
  for (int i = 0; i < w.tokens; ++i) {
    const float* row = w.mask_NN + std::int64_t{i} * w.tokens;
    std::uint32_t* to = words + i / w.panel * w.padded;
    const std::uint32_t bit = kBit[static_cast<std::size_t>(i % w.panel)];
    for (int j = 0; j < w.tokens; ++j) to[j] |= row[j] != 0 ? bit : 0U;
  }
}

// (panel of keys, query): a word is a piece of one row of the mask.
void set_bits_of_keys(const Window& w, std::uint32_t* words) {
  for (int first = 0; first < w.tokens; first += w.panel, words += w.padded) {
    const int count = std::min(w.panel, w.tokens - first);
    for (int i = 0; i < w.tokens; ++i) {
      const float* row = w.mask_NN + std::int64_t{i} * w.tokens + first;
      std::uint32_t word = 0;
      for (int j = 0; j < count; ++j) word |= row[j] != 0 ? kBit[static_cast<std::size_t>(j)] : 0U;
      words[i] = word;
    }
  }
}

}  // namespace

MaskBits PackedMask::bits() const {
  if (!of_queries.defined()) return {};
  const auto words = [](const at::Tensor& t) {
    return t.defined() ? static_cast<const std::uint32_t*>(t.const_data_ptr()) : nullptr;
  };
  return {.of_queries = words(of_queries),
          .of_keys = words(of_keys),
          .any = any.const_data_ptr<std::uint8_t>(),
          .value = static_cast<float>(value) * kLog2e,
          .windows = static_cast<int>(any.size(0))};
}

std::optional<PackedMask> pack_mask(const at::Tensor& mask_VNN, const Kernel& kernel,
                                    bool with_keys) {
  if (!mask_VNN.defined()) return PackedMask{};
  const at::Tensor dense_VNN = mask_VNN.contiguous();
  const float* const mask = dense_VNN.const_data_ptr<float>();
  const float* const end = mask + dense_VNN.numel();
  const float* const first = std::find_if(mask, end, [](float x) { return x != 0; });
  if (first == end) return PackedMask{};
  const float value = *first;
  if (std::isnan(value)) return std::nullopt;

  const std::int64_t windows = dense_VNN.size(0), tokens = dense_VNN.size(1);
  const int panel = 2 * kernel.lanes, padded = padded_tokens(kernel, static_cast<int>(tokens));
  const std::int64_t words = std::int64_t{padded} / panel * padded;
  PackedMask out;
  out.value = std::clamp(value, -kInfinite, kInfinite);
  out.of_queries = torch::zeros({windows, padded / panel, padded}, torch::kInt);
  if (with_keys) out.of_keys = torch::zeros_like(out.of_queries);
  out.any = torch::zeros({windows}, torch::kByte);
  std::atomic<bool> fits = true;
  const auto words_of = [&](const at::Tensor& t, std::int64_t w) {
    return static_cast<std::uint32_t*>(t.data_ptr()) + w * words;
  };
  at::parallel_for(0, windows, 1, [&](std::int64_t begin, std::int64_t stop) {
    for (std::int64_t w = begin; w < stop; ++w) {
      const Window window{mask + w * tokens * tokens, static_cast<int>(tokens), padded, panel};
      std::uint32_t set = 0, other = 0;
      for (std::int64_t i = 0; i < tokens * tokens; ++i) {
        const float x = window.mask_NN[i];
        set |= static_cast<std::uint32_t>(x != 0);
        other |= static_cast<std::uint32_t>(x != 0) & static_cast<std::uint32_t>(x != value);
      }
      if (other != 0) fits = false;
      if (set == 0 || !fits) continue;
      out.any.data_ptr<std::uint8_t>()[w] = 1;
      set_bits_of_queries(window, words_of(out.of_queries, w));
      if (with_keys) set_bits_of_keys(window, words_of(out.of_keys, w));
    }
  });
  if (!fits) return std::nullopt;
  return out;
}

}  // namespace homolog::model::attention

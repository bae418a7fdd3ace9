// Randomness inside a training forward pass: one stream per row of the batch, a function of (seed,
// sample, step), so that rank, batch size and resume change nothing (promises P2, P9).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace homolog::model {

// Key of one row: which sample, at which optimiser step, seen as which view (query 0, key 1).
std::uint64_t row_key(std::uint64_t sample, std::int64_t step, int view) noexcept;

class RowDraws {
 public:
  // Without keys, draws come from Torch's global generator (fine-tuning, experiments).
  RowDraws() = default;
  RowDraws(std::uint64_t seed, std::vector<std::uint64_t> row_keys);

  // What the next step draws, in the tensors in which this one drew the same: from here on a site
  // keeps its tensor, so that recorded work finds the draws of its step. A site that was never
  // asked for is drawn when it is. Copies of *this share the tensors; rows and shapes stay as they
  // are.
  void redraw(std::uint64_t seed, std::vector<std::uint64_t> row_keys);

  bool keyed() const noexcept { return !keys_.empty(); }

  // Stochastic depth: entry (l, b) is 0 with probability drop_L[l], else 1 / (1 - drop_L[l]).
  // Drawn on the host, one copy to the device.
  at::Tensor keep_LB(const std::vector<double>& drop_L, std::int64_t rows,
                     const at::Device& device) const;

  // Inverted dropout of x (rows first): a factor of x's shape; `site` tells the uses apart.
  at::Tensor dropout_factor(const at::Tensor& x, double drop, std::string_view site) const;

 private:
  struct Kept;
  using Draw = std::function<at::Tensor(const RowDraws&)>;
  at::Tensor drawn(std::string_view site, const Draw& draw) const;
  at::Tensor draw_keep_LB(const std::vector<double>& drop_L, std::int64_t rows) const;
  at::Tensor draw_factor(at::Tensor factor, double drop, std::string_view site) const;
  void check_rows(std::int64_t rows) const;
  std::uint64_t seed_ = 0;
  std::vector<std::uint64_t> keys_;
  std::shared_ptr<Kept> kept_;  // after the first redraw()
};

}  // namespace homolog::model

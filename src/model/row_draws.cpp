// See row_draws.h. Keep factors of stochastic depth are few and come from Philox on the host;
// dropout masks are large, so each row seeds a generator on the tensor's own device.
#include "model/row_draws.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <array>
#include <map>
#include <stdexcept>

#include "base/counter_rng.h"
#include "base/hash.h"
#include "model/to_device.h"

namespace homolog::model {

std::uint64_t row_key(std::uint64_t sample, std::int64_t step, int view) noexcept {
  const std::array<std::uint64_t, 3> words{sample, static_cast<std::uint64_t>(step),
                                           static_cast<std::uint64_t>(view)};
  return xxh3_64(std::as_bytes(std::span(words)));
}

// By site: the tensor that keeps its draws, and how they are drawn anew.
struct RowDraws::Kept {
  struct Site {
    at::Tensor tensor;
    Draw draw;
  };
  std::map<std::string, Site, std::less<>> sites;
};

RowDraws::RowDraws(std::uint64_t seed, std::vector<std::uint64_t> row_keys)
    : seed_(seed), keys_(std::move(row_keys)) {}

void RowDraws::redraw(std::uint64_t seed, std::vector<std::uint64_t> row_keys) {
  seed_ = seed;
  keys_ = std::move(row_keys);
  if (!kept_) kept_ = std::make_shared<Kept>();
  for (auto& [name, site] : kept_->sites) site.tensor.copy_(site.draw(*this));
}

at::Tensor RowDraws::drawn(std::string_view site, const Draw& draw) const {
  if (!kept_) return draw(*this);
  const auto found = kept_->sites.find(site);
  if (found != kept_->sites.end()) return found->second.tensor;
  const at::Tensor tensor = draw(*this);
  kept_->sites.emplace(site, Kept::Site{tensor, draw});
  return tensor;
}

void RowDraws::check_rows(std::int64_t rows) const {
  if (keyed() && static_cast<std::int64_t>(keys_.size()) != rows) {
    throw std::logic_error("RowDraws: " + std::to_string(keys_.size()) + " keys for " +
                           std::to_string(rows) + " rows");
  }
}

at::Tensor RowDraws::keep_LB(const std::vector<double>& drop_L, std::int64_t rows,
                             const at::Device& device) const {
  return drawn("drop-path", [=](const RowDraws& draws) {
    return to_device(draws.draw_keep_LB(drop_L, rows), device);
  });
}

at::Tensor RowDraws::draw_keep_LB(const std::vector<double>& drop_L, std::int64_t rows) const {
  check_rows(rows);
  const auto layers = static_cast<std::int64_t>(drop_L.size());
  at::Tensor keep_LB = torch::empty({layers, rows}, torch::kFloat);
  const at::Tensor global_LB = keyed() ? at::Tensor() : torch::rand({layers, rows}, torch::kDouble);
  auto keep = keep_LB.accessor<float, 2>();
  for (std::int64_t b = 0; b < rows; ++b) {
    CounterRng rng(seed_, "drop-path", keyed() ? keys_[static_cast<std::size_t>(b)] : 0);
    for (std::int64_t l = 0; l < layers; ++l) {
      const double drop = drop_L[static_cast<std::size_t>(l)];
      const double u = keyed() ? rng.uniform() : global_LB[l][b].item<double>();
      keep[l][b] = u < drop ? 0.0F : static_cast<float>(1.0 / (1.0 - drop));
    }
  }
  return keep_LB;
}

at::Tensor RowDraws::dropout_factor(const at::Tensor& x, double drop, std::string_view site) const {
  const auto draw = [sizes = x.sizes().vec(), options = x.options().requires_grad(false), drop,
                     site = std::string(site)](const RowDraws& draws) {
    return draws.draw_factor(torch::empty(sizes, options), drop, site);
  };
  return drawn(site, draw);
}

at::Tensor RowDraws::draw_factor(at::Tensor factor, double drop, std::string_view site) const {
  check_rows(factor.size(0));
  if (!keyed() || factor.is_meta())  // a device without values has no generator
    return factor.bernoulli_(1.0 - drop).div_(1.0 - drop);
  at::Generator generator = at::globalContext().defaultGenerator(factor.device()).clone();
  for (std::int64_t b = 0; b < factor.size(0); ++b) {
    generator.set_current_seed(CounterRng(seed_, site, keys_[static_cast<std::size_t>(b)]).u64());
    factor.select(0, b).bernoulli_(1.0 - drop, generator);
  }
  return factor.div_(1.0 - drop);
}

}  // namespace homolog::model

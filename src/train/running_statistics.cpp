// Sums travel as double: the mean of numbers that are equal on all ranks (constants among the
// buffers) is then that number, bit by bit, for every world size.
#include "train/running_statistics.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <stdexcept>

#include "train/kept_buffers.h"

namespace homolog::train {

RunningStatistics::RunningStatistics(objective::Objective& objective) {
  const auto online = moving_buffers(objective.online());
  for (const auto& [name, buffer] : online) {
    if (buffer.is_floating_point()) floating_.push_back(buffer);
  }
  if (objective.target() == nullptr) return;
  for (const auto& [name, buffer] : moving_buffers(*objective.target())) {
    const auto twin = online.find(name);
    if (twin == online.end() || twin->second.sizes() != buffer.sizes())
      throw std::logic_error("the target's buffer " + name + " has no online twin");
    online_and_target_.emplace_back(twin->second, buffer);
  }
}

torch::Tensor RunningStatistics::local() const {
  if (floating_.empty()) return {};
  std::vector<torch::Tensor> pieces;
  for (const torch::Tensor& buffer : floating_)
    pieces.push_back(buffer.to(torch::kFloat64).flatten());
  return torch::cat(pieces);
}

void RunningStatistics::settle(const torch::Tensor& world_sums, int ranks) {
  const torch::NoGradGuard no_grad;
  if (ranks > 1 && world_sums.defined()) {
    const torch::Tensor means = (world_sums / ranks).to(floating_.front().device());
    std::int64_t at = 0;
    for (torch::Tensor& buffer : floating_) {
      buffer.copy_(means.narrow(0, at, buffer.numel()).view(buffer.sizes()));
      at += buffer.numel();
    }
  }
  for (auto& [online, target] : online_and_target_) target.copy_(online);
}

}  // namespace homolog::train

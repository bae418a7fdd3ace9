#include "train/gradient_arena.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <stdexcept>

#include "base/huge_pages.h"

namespace homolog::train {
namespace {

constexpr std::int64_t kAlign = 16;  // floats: 64 bytes, a cache line and an AVX-512 register

std::int64_t aligned(std::int64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

// The update sweeps through five of these side by side: on a CPU they lie on huge pages.
torch::Tensor zeroed(std::int64_t count, torch::Device device) {
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(device);
  if (!device.is_cpu() || count == 0) return torch::zeros({count}, options);
  void* memory = on_huge_pages(static_cast<std::size_t>(count) * sizeof(float));
  return torch::from_blob(
             memory, {count}, [](void* p) { std::free(p); }, options)
      .zero_();
}

// 0: decayed without copy, 1: decayed with, 2: undecayed with, 3: undecayed without.
int range_of(const Slot& slot) {
  const bool copied = slot.target_begin >= 0;
  return slot.rule.decayed ? (copied ? 1 : 0) : (copied ? 2 : 3);
}

std::map<std::string, torch::Tensor> target_parameters(objective::Objective& objective) {
  std::map<std::string, torch::Tensor> named;
  if (auto* target = objective.target()) {
    for (const auto& item : target->named_parameters()) named.emplace(item.key(), item.value());
  }
  return named;
}

}  // namespace

GradientArena::GradientArena(objective::Objective& objective, std::int64_t bucket_bytes,
                             int moments) {
  const auto copies = target_parameters(objective);
  std::set<const void*>
      seen;  // a shared tensor is registered under several names: the first counts
  std::set<std::string> online_names;
  for (const auto& item : objective.online().named_parameters()) {
    online_names.insert(item.key());
    torch::Tensor parameter = item.value();
    if (!seen.insert(parameter.unsafeGetTensorImpl()).second) continue;
    const auto rule = objective.rule(item.key(), parameter);
    parameter.set_requires_grad(rule.trained);
    if (!rule.trained) continue;
    if (parameter.scalar_type() != torch::kFloat32)
      throw std::logic_error(item.key() + " is not float32");
    slots_.push_back({item.key(), 0, parameter.numel(), copies.contains(item.key()) ? 0 : -1, 0,
                      rule, parameter});
  }
  for (const auto& [name, copy] : copies) {
    if (!online_names.contains(name))
      throw std::logic_error("the target's " + name + " has no online twin");
  }
  if (slots_.empty()) throw std::logic_error("the objective has no trained parameter");
  lay_out(bucket_bytes);
  bind(objective, moments);
}

void GradientArena::lay_out(std::int64_t bucket_bytes) {
  std::reverse(slots_.begin(), slots_.end());
  std::stable_sort(slots_.begin(), slots_.end(),
                   [](const Slot& a, const Slot& b) { return range_of(a) < range_of(b); });
  int open_range = -1;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const int range = range_of(slot);
    const bool full = !buckets_.empty() && buckets_.back().count * 4 >= bucket_bytes;
    if (range != open_range || full) buckets_.push_back({total_, 0, static_cast<int>(i), 0});
    open_range = range;
    slot.begin = total_;
    slot.bucket = static_cast<int>(buckets_.size()) - 1;
    total_ += aligned(slot.count);
    if (slot.target_begin >= 0) {
      slot.target_begin = target_total_;
      target_total_ += aligned(slot.count);
    }
    if (slot.rule.decayed) decayed_ = total_;
    buckets_.back().count = total_ - buckets_.back().begin;
    ++buckets_.back().slots;
  }
}

void GradientArena::bind(objective::Objective& objective, int moments) {
  torch::NoGradGuard no_grad;
  const torch::Device device = slots_.front().parameter.device();
  parameters_ = zeroed(total_, device);
  gradients_ = zeroed(total_, device);
  moment1_ = zeroed(total_, device);
  if (moments > 1) moment2_ = zeroed(total_, device);
  target_ = zeroed(target_total_, device);
  const auto copies = target_parameters(objective);
  for (Slot& slot : slots_) {
    torch::Tensor here = view(parameters_, slot);
    here.copy_(slot.parameter);
    slot.parameter.set_data(here);
    slot.parameter.mutable_grad() = view(gradients_, slot);
    if (slot.target_begin < 0) continue;
    torch::Tensor copy = copies.at(slot.name);
    if (copy.sizes() != slot.parameter.sizes())
      throw std::logic_error("the target's " + slot.name + " has another shape");
    torch::Tensor there =
        target_.narrow(0, slot.target_begin, slot.count).view(slot.parameter.sizes());
    there.copy_(copy);
    copy.set_requires_grad(false);
    copy.set_data(there);
  }
}

torch::Tensor GradientArena::view(const torch::Tensor& flat, const Slot& slot) const {
  return flat.narrow(0, slot.begin, slot.count).view(slot.parameter.sizes());
}

void GradientArena::zero_gradients() { gradients_.zero_(); }

}  // namespace homolog::train

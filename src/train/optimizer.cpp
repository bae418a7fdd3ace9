#include "train/optimizer.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <cstring>

#include "train/bucket_reducer.h"

namespace homolog::train {
namespace {
constexpr std::int64_t kChunk = 16384;  // elements: 64 KB of gradient, in a core's cache

template <class T>
void put(torch::Tensor& table, const std::vector<T>& rows) {
  const auto bytes = static_cast<std::int64_t>(rows.size() * sizeof(T));
  torch::Tensor host = torch::empty({bytes}, torch::kUInt8);
  std::memcpy(host.data_ptr(), rows.data(), static_cast<std::size_t>(bytes));
  if (table.defined()) table.copy_(host);
}
}  // namespace

void declare(Options& o, OptimizerPlan& p) {
  o.add("optimizer.name", p.name, "update rule", {.choices = {"adamw", "sgd"}});
  o.add("optimizer.beta1", p.beta1, "AdamW: decay of the first moment", {.min = 0, .max = 1});
  o.add("optimizer.beta2", p.beta2, "AdamW: decay of the second moment", {.min = 0, .max = 1});
  o.add("optimizer.epsilon", p.epsilon, "AdamW: added to the denominator", {.min = 0});
  o.add("optimizer.momentum", p.momentum, "SGD: momentum", {.min = 0, .max = 1});
  o.add("optimizer.clip", p.clip, "largest L2 norm of a gradient; 0: no clipping", {.min = 0});
  o.add("optimizer.clip_mode", p.clip_mode, "norm of each tensor, or of all together",
        {.choices = {"tensor", "global"}});
}

Optimizer::Optimizer(GradientArena& arena, const OptimizerPlan& plan, double gradient_scale)
    : arena_(arena), plan_(plan), scale_(gradient_scale), counts_(arena.slots().size(), 0) {
  for (const Slot& slot : arena.slots()) {
    UpdateSegment segment;
    segment.begin = slot.begin;
    segment.count = slot.count;
    segment.target_begin = slot.target_begin;
    segment.decayed = slot.rule.decayed;
    segment.clipped = slot.rule.clipped;
    segment.first_chunk = static_cast<std::int32_t>(chunks_.size());
    for (std::int64_t at = 0; at < slot.count; at += kChunk) {
      chunks_.push_back({slot.begin + at,
                         static_cast<std::int32_t>(std::min(kChunk, slot.count - at)),
                         static_cast<std::int32_t>(segments_.size())});
    }
    segment.chunk_count = static_cast<std::int32_t>(chunks_.size()) - segment.first_chunk;
    segments_.push_back(segment);
  }
  const auto f64 = torch::TensorOptions().dtype(torch::kFloat64).device(arena.device());
  chunk_sums_ = torch::zeros({static_cast<std::int64_t>(chunks_.size())}, f64);
  segment_squares_ = torch::zeros({static_cast<std::int64_t>(segments_.size()) + 2}, f64);
  if (arena.device().is_cuda()) {
    const auto bytes = torch::TensorOptions().dtype(torch::kUInt8).device(arena.device());
    segment_table_ =
        torch::empty({static_cast<std::int64_t>(segments_.size() * sizeof(UpdateSegment))}, bytes);
    chunk_table_ =
        torch::empty({static_cast<std::int64_t>(chunks_.size() * sizeof(UpdateChunk))}, bytes);
    put(chunk_table_, chunks_);
    put(segment_table_, segments_);
  }
}

UpdateBuffers Optimizer::buffers() {
  UpdateBuffers b;
  b.parameter = arena_.parameters().data_ptr<float>();
  b.gradient = arena_.gradients().data_ptr<float>();
  b.moment1 = arena_.moment1().data_ptr<float>();
  b.moment2 = arena_.moment2().defined() ? arena_.moment2().data_ptr<float>() : nullptr;
  b.target = arena_.target().numel() > 0 ? arena_.target().data_ptr<float>() : nullptr;
  const bool on_device = segment_table_.defined();
  b.segments =
      on_device ? static_cast<const UpdateSegment*>(segment_table_.data_ptr()) : segments_.data();
  b.chunks = on_device ? static_cast<const UpdateChunk*>(chunk_table_.data_ptr()) : chunks_.data();
  b.segment_count = static_cast<std::int32_t>(segments_.size());
  b.chunk_count = static_cast<std::int32_t>(chunks_.size());
  b.chunk_sums = chunk_sums_.data_ptr<double>();
  b.segment_squares = segment_squares_.data_ptr<double>();
  return b;
}

torch::Tensor Optimizer::measure() {
  if (arena_.device().is_cuda())
    measure_cuda(buffers(), current_stream(arena_.device()));
  else
    measure_cpu(buffers());
  return segment_squares_[static_cast<std::int64_t>(segments_.size())] * (scale_ * scale_);
}

void Optimizer::apply(const StepRates& rates, std::span<const std::uint8_t> active) {
  const bool adamw = plan_.name == "adamw";
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    segments_[i].active = active[i];
    if (active[i] == 0) continue;
    const auto t = static_cast<double>(++counts_[i]);
    segments_[i].bias1 = static_cast<float>(1 - std::pow(plan_.beta1, t));
    segments_[i].bias2_root = static_cast<float>(std::sqrt(1 - std::pow(plan_.beta2, t)));
  }
  UpdateRates r;
  r.learning_rate = rates.learning_rate;
  r.weight_decay = rates.weight_decay;
  r.ema_momentum = rates.ema_momentum;
  r.beta1 = adamw ? plan_.beta1 : plan_.momentum;
  r.beta2 = plan_.beta2;
  r.epsilon = plan_.epsilon;
  r.gradient_scale = scale_;
  r.clip = plan_.clip;
  r.clip_global = plan_.clip_mode == "global";
  r.adamw = adamw;
  if (arena_.device().is_cuda()) {
    put(segment_table_, segments_);
    update_cuda(buffers(), r, current_stream(arena_.device()));
  } else {
    update_cpu(buffers(), r);
  }
}

}  // namespace homolog::train

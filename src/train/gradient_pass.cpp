#include "train/gradient_pass.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "base/log.h"

namespace homolog::train {
namespace {

using board::Part;
using objective::Loss;
using objective::StepInfo;
using objective::Views;

// Libraries choose their algorithms in the first passes, and lazy buffers are made.
constexpr int kPlainPasses = 3;

Loss each_tensor(const Loss& loss, at::Tensor (*change)(const at::Tensor&)) {
  Loss out{change(loss.total), {}, {}};
  for (const auto& term : loss.terms) out.terms.push_back({term.name, change(term.value)});
  if (loss.statistics.defined()) out.statistics = change(loss.statistics);
  return out;
}

at::Tensor detached(const at::Tensor& tensor) { return tensor.detach(); }
at::Tensor cloned(const at::Tensor& tensor) { return tensor.clone(); }

}  // namespace

GradientPass::GradientPass(objective::Objective& objective, BucketReducer& reducer,
                           torch::Device device, bool records)
    : objective_(objective), reducer_(reducer), device_(device), records_(records) {
  if (!records_ || objective_.has_fixed_work()) return;
  log::warn("cluster.cuda_graph: this objective's work depends on its data; it is not recorded",
            {});
  records_ = false;
}

Loss GradientPass::run(const Views& views, const StepInfo& info, bool first_micro_batch,
                       bool last_micro_batch, Laps& laps) {
  if (!records_) {
    reducer_.arm(first_micro_batch, last_micro_batch);
    return plain(views, info, laps);
  }
  const Views ready = objective_.prepare(views, info);
  if (!fits(ready, info)) keep(ready, info);
  for (const auto& [name, tensor] : ready.tensors) inputs_.tensors.at(name).copy_(tensor);
  inputs_.ids = ready.ids;
  const bool settled = plain_passes_ >= kPlainPasses;
  reducer_.arm(first_micro_batch, last_micro_batch && !settled);
  if (!settled) {
    ++plain_passes_;
    return plain(inputs_, info, laps);
  }
  laps.end(Part::Forward);
  if (!recording_ && !start_recording(info)) {
    reducer_.arm(first_micro_batch, last_micro_batch);
    return plain(inputs_, info, laps);
  }
  recording_->replay();
  reducer_.touch(touched_);
  laps.end(Part::Backward);
  return each_tensor(outputs_, cloned);
}

Loss GradientPass::plain(const Views& views, const StepInfo& info, Laps& laps) {
  Loss loss = objective_.evaluate(views, info);
  laps.end(Part::Forward);
  loss.total.backward();
  laps.end(Part::Backward);
  return loss;
}

bool GradientPass::fits(const Views& ready, const StepInfo& info) const {
  if (info.epoch != epoch_ || ready.tensors.size() != inputs_.tensors.size()) return false;
  for (const auto& [name, tensor] : ready.tensors) {
    const auto found = inputs_.tensors.find(name);
    if (found == inputs_.tensors.end() || found->second.sizes() != tensor.sizes()) return false;
  }
  return true;
}

void GradientPass::keep(const Views& ready, const StepInfo& info) {
  recording_.reset();
  outputs_ = {};
  inputs_.tensors.clear();
  for (const auto& [name, tensor] : ready.tensors) inputs_.tensors[name] = tensor.clone();
  epoch_ = info.epoch;
}

bool GradientPass::start_recording(const StepInfo& info) try {
  recording_ = record(device_, [this, info] {
    const Loss loss = objective_.evaluate(inputs_, info);
    loss.total.backward();
    outputs_ = each_tensor(loss, detached);
  });
  const auto reached = reducer_.touched();
  touched_.assign(reached.begin(), reached.end());
  return true;
} catch (const std::exception& refused) {
  log::warn("cluster.cuda_graph: the step cannot be recorded and is issued anew each time",
            {{"reason", std::string(refused.what())}});
  records_ = false;
  return false;
}

}  // namespace homolog::train

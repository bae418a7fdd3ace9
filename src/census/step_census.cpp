#include "census/step_census.h"

#include <c10/util/Exception.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "census/meta_kernels.h"
#include "census/operator_watch.h"
#include "train/gradient_arena.h"
#include "train/optimizer.h"
#include "train/replica.h"

namespace homolog::census {
namespace {

double bytes(const torch::Tensor& t) {
  return t.defined() ? static_cast<double>(t.numel()) * static_cast<double>(t.element_size()) : 0;
}

std::vector<torch::Tensor> tensors_of(objective::Objective& objective) {
  std::vector<torch::Tensor> all;
  for (torch::nn::Module* module : {&objective.online(), objective.target()}) {
    if (module == nullptr) continue;
    for (auto list : {module->parameters(), module->buffers()})
      all.insert(all.end(), list.begin(), list.end());
  }
  return all;
}

std::string part_of(const std::string& name) { return name.substr(0, name.find('.')); }

plan::ParameterCount count_parameters(objective::Objective& objective,
                                      const train::GradientArena& arena) {
  plan::ParameterCount out;
  for (const train::Slot& slot : arena.slots()) {
    out.trained += slot.count;
    if (slot.target_begin >= 0) out.target += slot.count;
    out.parts[part_of(slot.name)] += slot.count;
  }
  std::set<const void*> seen;
  for (const auto& item : objective.online().named_parameters()) {
    const bool first = seen.insert(item.value().unsafeGetTensorImpl()).second;
    if (first && !item.value().requires_grad()) out.fixed += item.value().numel();
  }
  for (const auto& [name, tensor] : objective.state()) out.state += tensor.numel();
  out.exported = part_of(objective.exported_prefix());
  return out;
}

// Parameters and buffers that the arena does not hold.
double fixed_bytes(objective::Objective& objective, train::GradientArena& arena) {
  std::set<const void*> held;
  const auto add = [&](const torch::Tensor& t) {
    if (t.defined()) held.insert(t.storage().unsafeGetStorageImpl());
  };
  add(arena.parameters());
  add(arena.target());
  double sum = 0;
  for (const torch::Tensor& t : tensors_of(objective)) {
    if (t.defined() && held.insert(t.storage().unsafeGetStorageImpl()).second) sum += bytes(t);
  }
  return sum;
}

struct Sized {
  plan::ParameterCount parameters;
  plan::StepMemory memory;
  double checkpoint = 0, last_bucket = 0;
};

// Through the engine's own arena, so that padding, buckets and what a checkpoint holds are its.
Sized measure(objective::Objective& objective, const train::TrainingPlan& p,
              train::GradientArena& arena) {
  Sized out;
  out.parameters = count_parameters(objective, arena);
  out.memory.weights = bytes(arena.parameters());
  out.memory.gradients = bytes(arena.gradients());
  out.memory.moments = bytes(arena.moment1()) + bytes(arena.moment2());
  out.memory.target = bytes(arena.target());
  out.memory.fixed = fixed_bytes(objective, arena);
  out.last_bucket = static_cast<double>(arena.buckets().back().count) * sizeof(float);
  train::Optimizer optimizer(arena, p.optimizer, 1.0);
  train::Replica replica(objective, arena, optimizer);
  for (const auto& [file, tensors] : replica.tensors()) {
    for (const auto& [name, tensor] : tensors) out.checkpoint += bytes(tensor);
  }
  return out;
}

train::GradientArena arena_of(objective::Objective& objective, const train::TrainingPlan& p) {
  return {objective, static_cast<std::int64_t>(p.cluster.bucket_mb * 1024 * 1024),
          p.optimizer.name == "adamw" ? 2 : 1};
}

plan::StepWork count_on(const torch::Device& device, std::int64_t batch, const StepSetup& setup,
                        objective::Objective& objective) {
  objective.set_activations(train::activations_of(setup.plan));
  if (objective.target() != nullptr) objective.target()->eval();
  train::GradientArena arena = arena_of(objective, setup.plan);
  const Sized sized = measure(objective, setup.plan, arena);
  objective::Views views = setup.views(batch, device);
  std::vector<torch::Tensor> kept = tensors_of(objective);
  plan::StepWork out{.batch = batch,
                     .parameters = sized.parameters,
                     .operators = {},
                     .memory = sized.memory,
                     .checkpoint_bytes = sized.checkpoint,
                     .last_bucket_bytes = sized.last_bucket,
                     .source = {}};
  for (const auto& [name, tensor] : views.tensors) {
    out.memory.inputs += bytes(tensor);
    kept.push_back(tensor);
  }
  kept.push_back(arena.gradients());
  objective::Loss loss;  // its terms live as long as the step
  const Counted counted = count(device, kept, [&] {
    loss = objective.evaluate(views, {.step = 0, .epoch = 0, .seed = setup.plan.seed});
    return loss.total;
  });
  out.operators = counted.operators;
  out.memory.saved = counted.saved;
  out.memory.peak = counted.peak;
  return out;
}

void scale(plan::StepWork& work, double factor) {
  for (plan::OperatorWork& o : work.operators) o.flops *= factor, o.bytes *= factor;
  work.memory.saved *= factor;
  work.memory.peak *= factor;
  work.memory.inputs *= factor;
}

// The first sentence: Torch adds advice for those who write operators, and a stack.
std::string first_sentence(const std::string& text) {
  return text.substr(0, std::min(text.find('\n'), text.find(". ")));
}

}  // namespace

void to_meta(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  for (auto list : {module.parameters(), module.buffers()}) {
    for (const torch::Tensor& t : list) {
      if (!t.defined() || t.is_meta()) continue;
      const torch::Tensor ghost =
          torch::empty_strided(t.sizes(), t.strides(), t.options().device(torch::kMeta));
      // set_data() refuses another device's; members that alias the parameter must follow.
      t.unsafeGetTensorImpl()->shallow_copy_from(ghost.getIntrusivePtr());
    }
  }
}

Counted count(const torch::Device& device, const std::vector<torch::Tensor>& kept,
              const std::function<torch::Tensor()>& forward) {
  Counted out;
  OperatorWatch watch(device);
  for (const torch::Tensor& t : kept) watch.ignore(t);
  const torch::Tensor total = forward();
  out.saved = watch.live_bytes();
  watch.begin_backward();
  if (total.requires_grad()) total.sum().backward();
  out.peak = watch.peak_bytes();
  out.operators = watch.take();
  return out;
}

plan::StepWork count_step(const StepSetup& setup) {
  const std::int64_t batch = setup.plan.batch;
  std::unique_ptr<objective::Objective> objective = setup.objective();
  std::string why;
  try {
    to_meta(objective->online());
    if (objective->target() != nullptr) to_meta(*objective->target());
    const MetaKernels kernels;
    plan::StepWork work = count_on(torch::kMeta, batch, setup, *objective);
    work.source = "counted: the objective's own passes, run without values";
    return work;
  } catch (const c10::Error& e) {
    why = first_sentence(e.what_without_backtrace());
  } catch (const std::runtime_error& e) {  // an autograd function's
    why = first_sentence(e.what());
  }
  log::warn("the step cannot be counted without values; counting one sample on this CPU",
            {{"because", why}});
  objective = setup.objective();
  plan::StepWork work = count_on(torch::kCPU, 1, setup, *objective);
  scale(work, static_cast<double>(batch));
  work.batch = batch;
  work.source =
      "counted on one sample run on this CPU, times data.batch (without values: " + why + ")";
  return work;
}

}  // namespace homolog::census

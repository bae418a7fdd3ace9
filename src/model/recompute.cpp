// See recompute.h. Parameters are inputs of the operator: backward asks for their gradients instead
// of adding them itself, so that the outer graph adds them up, wherever else a parameter is used,
// and its accumulator runs once.
#include "model/recompute.h"

#include <ATen/record_function.h>
#include <torch/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <optional>
#include <utility>

#include "base/error.h"
#include "model/moving_buffers.h"
#include "model/precision.h"

namespace homolog::model {
namespace {

BlockParts with_children(const BlockParts& parts) {
  BlockParts all;
  for (const auto& part : parts)
    for (const auto& module : part->modules()) all.push_back(module);  // parents first
  return all;
}

// What makes a second pass the first one again, beside its tensors.
struct Setting final : torch::CustomClassHolder {
  BlockParts parts;
  BlockPass pass;
  std::vector<bool> defined;      // of the inputs
  std::size_t inputs = 0;         // that are defined; parameters come after them
  std::vector<bool> is_training;  // of all modules
  Precision precision = Precision::Float32;
  at::DeviceType device = at::kCPU;

  at::Tensor run(at::TensorList given) const {
    Tensors all(defined.size());
    for (std::size_t i = 0, next = 0; i < all.size(); ++i)
      if (defined[i]) all[i] = given[next++];
    // Its own casts of weights, for a pass without gradients must leave none to one with them.
    const Autocast as_then(precision, device);
    std::optional<WithoutAutocast> wide;
    if (precision == Precision::Float32) wide.emplace();
    return pass(all);
  }
};

// While a block runs again its modules are in the modes of the first pass; afterwards modes and
// running statistics are as they were, for these have seen the batch.
class SecondPass {
 public:
  explicit SecondPass(const Setting& setting) : modules_(with_children(setting.parts)) {
    for (const auto& module : modules_) modes_.push_back(module->is_training());
    set_modes(setting.is_training);
    for (const auto& part : setting.parts)
      for (const auto& [name, buffer] : moving_buffers(*part))
        live_and_kept_.emplace_back(buffer, buffer.clone());
  }
  ~SecondPass() {
    const torch::NoGradGuard no_grad;
    for (auto& [live, kept] : live_and_kept_) live.copy_(kept);
    set_modes(modes_);
  }
  SecondPass(const SecondPass&) = delete;
  SecondPass& operator=(const SecondPass&) = delete;

 private:
  void set_modes(const std::vector<bool>& modes) {
    for (std::size_t i = 0; i < modules_.size(); ++i)  // children have the last word
      if (modules_[i]->is_training() != modes[i]) modules_[i]->train(modes[i]);
  }

  BlockParts modules_;
  std::vector<bool> modes_;
  std::vector<std::pair<at::Tensor, at::Tensor>> live_and_kept_;
};

class Recompute : public torch::autograd::Function<Recompute> {
 public:
  using Context = torch::autograd::AutogradContext;

  static at::Tensor forward(Context* context, at::TensorList tensors,
                            const c10::intrusive_ptr<Setting>& setting) {
    // Tells whoever counts operators that those inside are a student's, though without gradients.
    RECORD_FUNCTION(kRecomputedBlock, std::vector<c10::IValue>());
    context->save_for_backward(tensors.vec());
    context->saved_data["setting"] = c10::IValue::make_capsule(setting);
    return setting->run(tensors.slice(0, setting->inputs));
  }

  static Tensors backward(Context* context, const Tensors& gradients) {
    if (at::GradMode::is_enabled()) {
      throw Error(Fault::Usage, "a recomputed block has no second derivative",
                  "call backward without create_graph, or keep activations");
    }
    const auto setting =
        c10::static_intrusive_pointer_cast<Setting>(context->saved_data.at("setting").toCapsule());
    const Tensors saved = context->get_saved_variables();
    Tensors given, wanted;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < saved.size(); ++i) {
      const bool learns = saved[i].requires_grad(), is_input = i < setting->inputs;
      const at::Tensor own = is_input ? saved[i].detach().set_requires_grad(learns) : saved[i];
      if (is_input) given.push_back(own);
      if (!learns) continue;
      wanted.push_back(own);
      places.push_back(i);
    }
    const SecondPass second(*setting);
    at::Tensor again;
    {
      const at::AutoGradMode with_gradients(true);
      again = setting->run(given);
    }
    Tensors out(saved.size() + 1);  // none of the setting
    if (!again.requires_grad()) return out;
    const Tensors found = torch::autograd::grad({again}, wanted, gradients, /*retain_graph=*/false,
                                                /*create_graph=*/false, /*allow_unused=*/true);
    for (std::size_t i = 0; i < places.size(); ++i) out[places[i]] = found[i];
    return out;
  }
};

}  // namespace

at::Tensor recompute(const BlockParts& parts, const Tensors& inputs, const BlockPass& pass) {
  if (!at::GradMode::is_enabled()) return pass(inputs);
  auto setting = c10::make_intrusive<Setting>();
  setting->parts = parts;
  setting->pass = pass;
  Tensors tensors;
  for (const at::Tensor& input : inputs) {
    setting->defined.push_back(input.defined());
    if (input.defined()) tensors.push_back(input);
  }
  setting->inputs = tensors.size();
  if (!tensors.empty()) setting->device = tensors.front().device().type();
  setting->precision = precision_here(setting->device);
  for (const auto& module : with_children(parts))
    setting->is_training.push_back(module->is_training());
  for (const auto& part : parts)
    for (const at::Tensor& p : part->parameters())
      if (p.requires_grad()) tensors.push_back(p);
  return Recompute::apply(at::TensorList(tensors), setting);
}

}  // namespace homolog::model

// A block whose intermediates are not kept for backward: forward keeps its inputs alone, backward
// runs it once more (Chen et al. 2016, arXiv:1604.06174). One forward pass more, less memory.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <vector>

namespace homolog::model {

// What a training pass leaves to backward: all that its gradients need, or the inputs of blocks.
enum class Activations { Kept, Recomputed };

using Tensors = std::vector<at::Tensor>;
// A block as a function of its input tensors. It draws no random numbers, keeps no tensor that
// needs a gradient, and is called once more in backward.
using BlockPass = std::function<at::Tensor(const Tensors& inputs)>;
// The modules whose parameters the pass uses, and those below them.
using BlockParts = std::vector<std::shared_ptr<torch::nn::Module>>;

// What a profiler calls the first pass of such a block.
constexpr const char* kRecomputedBlock = "homolog::recomputed_block";

// pass(inputs), of which backward finds the inputs alone. Inputs may be undefined. Gradients of
// inputs and parameters are those of the plain pass: same number format (precision.h), same modes,
// and running statistics move once. A parameter's gradient reaches it as one of the plain graph
// does, so its accumulator and hooks run once. Without gradients it is the plain pass. Changing an
// input in place afterwards throws in backward, as does a second derivative (Fault::Usage).
at::Tensor recompute(const BlockParts& parts, const Tensors& inputs, const BlockPass& pass);

template <class Module>
std::shared_ptr<Module> shared_of(const torch::nn::ModuleHolder<Module>& block) {
  return block.ptr();
}
template <class Module>
std::shared_ptr<Module> shared_of(const std::shared_ptr<Module>& block) {
  return block;
}

// block->forward(arguments...), kept or recomputed; `arguments` in the very types of its
// parameters. Tensors among them are the block's inputs, the others are copied.
template <class Block, class... Arguments>
at::Tensor run_block(Activations activations, const Block& block, const Arguments&... arguments) {
  const auto module = shared_of(block);
  if (activations == Activations::Kept) return module->forward(arguments...);
  Tensors inputs;
  const auto take = [&inputs]<class T>(const T& argument) -> T {
    if constexpr (std::is_same_v<T, at::Tensor>) {
      inputs.push_back(argument);
      return T();
    } else {
      return argument;
    }
  };
  const std::tuple<Arguments...> others{take(arguments)...};  // braces: from left to right
  return recompute({module}, inputs, [module, others](const Tensors& now) {
    auto next = now.begin();
    const auto give = [&next]<class T>(const T& argument) -> T {
      if constexpr (std::is_same_v<T, at::Tensor>) {
        return *next++;
      } else {
        return argument;
      }
    };
    return std::apply(
        [&](const auto&... each) {
          const std::tuple<Arguments...> all{give(each)...};
          return std::apply([&](const auto&... a) { return module->forward(a...); }, all);
        },
        others);
  });
}

}  // namespace homolog::model

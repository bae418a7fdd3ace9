#include "model/moving_buffers.h"

#include <torch/types.h>
#include <torch/utils.h>

namespace homolog::model {

std::map<std::string, torch::Tensor> moving_buffers(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> found;
  for (const auto& item : module.named_buffers()) {
    const torch::Tensor& buffer = item.value();
    if (buffer.defined() && (buffer.is_floating_point() || buffer.dim() == 0))
      found.emplace(item.key(), buffer);
  }
  return found;
}

}  // namespace homolog::model

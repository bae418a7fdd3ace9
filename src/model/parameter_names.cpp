#include "model/parameter_names.h"

#include <torch/utils.h>

#include <algorithm>

namespace homolog::model {

std::map<std::string, torch::Tensor> named_tensors(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> all;
  for (const auto& item : module.named_parameters()) all[item.key()] = item.value();
  for (const auto& item : module.named_buffers()) all[item.key()] = item.value();
  return all;
}

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_negative_variance(const std::string& name, const torch::Tensor& tensor) {
  return name.ends_with("running_var") && tensor.is_floating_point() &&
         tensor.lt(0).any().item<bool>();
}

}  // namespace homolog::model

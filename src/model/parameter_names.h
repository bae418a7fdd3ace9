// Names of a module's parameters and buffers, as its state dict holds them.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

namespace homolog::model {

// Parameters and buffers; they share the module's memory.
std::map<std::string, torch::Tensor> named_tensors(const torch::nn::Module& module);

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes);

// Running statistics of a norm that nothing can have computed.
bool is_negative_variance(const std::string& name, const torch::Tensor& tensor);

}  // namespace homolog::model

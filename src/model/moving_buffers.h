// The buffers of a network that a forward pass may move: running statistics and their counters.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <map>
#include <string>

namespace homolog::model {

// Live buffers, by name: floating-point ones and counters. Tables of integers are constants.
std::map<std::string, torch::Tensor> moving_buffers(const torch::nn::Module& module);

}  // namespace homolog::model

// Autograd against differences, in double: the slope of a number along one random direction of all
// its inputs together.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace homolog::model {

// `inputs`: leaves in double that need gradients; `value` reads them and gives one number. They are
// left moved by a rounding error.
template <class Value>
void expect_slope_of_differences(Value&& value, const std::vector<torch::Tensor>& inputs,
                                 double tolerance = 1e-6) {
  for (torch::Tensor input : inputs) input.mutable_grad().reset();
  value().backward();
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> along;
  double slope = 0;
  for (const torch::Tensor& input : inputs) {
    ASSERT_EQ(input.scalar_type(), torch::kDouble);
    ASSERT_TRUE(input.grad().defined());
    along.push_back(torch::randn(input.sizes(), torch::kDouble) * 0.1);
    slope += (input.grad() * along.back()).sum().template item<double>();
  }
  const auto moved = [&](double by) {
    for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i].add_(along[i], by);
    return value().template item<double>();
  };
  constexpr double kStep = 1e-8;  // few activations cross a kink on so short a way
  const double ahead = moved(kStep), behind = moved(-2 * kStep);
  moved(kStep);
  EXPECT_NEAR((ahead - behind) / (2 * kStep), slope, tolerance * std::max(1.0, std::abs(slope)));
}

}  // namespace homolog::model

// Every encoder of the catalogue, under Alice, gives on a GPU what it gives on a CPU: losses and
// gradients, from the same weights, views and draws. Skips, saying so, where no GPU is.
#include <ATen/Context.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "tests/unit/objective/tiny_alice.h"

namespace homolog::objective {
namespace {

constexpr backbone::Size3 kCrop{64, 32, 32};

std::vector<std::string> encoders() {
  std::vector<std::string> names;
  for (const auto* entry : backbone::catalog()) names.emplace_back(entry->name);
  return names;
}

// Loss terms, then the norm of each parameter's gradient (-1: none); on the host, in double.
std::vector<double> numbers_on(const at::Device& device, const std::string& encoder) {
  // A dropout mask comes from the device's own generator: other numbers, by design.
  const auto alice = tiny::make({"objective.alice.casa_dropout=0"}, encoder, kCrop);
  alice->online().to(device);
  alice->target()->to(device);
  Views views = tiny::make_views({1, 2}, kCrop);
  for (auto& [name, tensor] : views.tensors) tensor = tensor.to(device);
  const Loss loss = alice->evaluate(views, {.step = 3, .epoch = 1, .seed = 7});
  loss.total.backward();
  std::vector<double> numbers;
  for (const auto& term : loss.terms) numbers.push_back(term.value.item<double>());
  for (const auto& item : alice->online().named_parameters()) {
    const torch::Tensor& gradient = item.value().grad();
    numbers.push_back(gradient.defined() ? gradient.to(torch::kDouble).norm().item<double>() : -1);
  }
  return numbers;
}

class EncoderGpu : public ::testing::TestWithParam<std::string> {};

TEST_P(EncoderGpu, AgreesWithTheCpuInLossesAndGradients) {
  if (!torch::cuda::is_available()) {
    GTEST_SKIP() << "NOT CHECKED: no GPU here, " << GetParam() << " was not run on one";
  }
  at::globalContext().setAllowTF32CuDNN(false);  // its rounding would hide a mistake
  const auto host = numbers_on(torch::kCPU, GetParam());
  const auto device = numbers_on(torch::kCUDA, GetParam());
  ASSERT_EQ(host.size(), device.size());
  const double largest = *std::max_element(host.begin(), host.end());
  for (std::size_t i = 0; i < host.size(); ++i)
    EXPECT_NEAR(device[i], host[i], 5e-3 * std::max(std::abs(host[i]), 1e-3 * largest)) << i;
}

INSTANTIATE_TEST_SUITE_P(Catalog, EncoderGpu, ::testing::ValuesIn(encoders()),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace homolog::objective

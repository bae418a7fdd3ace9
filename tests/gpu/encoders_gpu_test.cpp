// Every encoder of the catalogue, under Alice, gives on a GPU what it gives on a CPU: losses and
// gradients, from the same weights, views and draws; in bf16 near that.
#include <ATen/Context.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "tests/gpu/on_gpu.h"
#include "tests/unit/objective/tiny_alice.h"

namespace homolog::objective {
namespace {

constexpr backbone::Size3 kCrop{64, 32, 32};

struct Numbers {
  std::vector<double> terms;  // of the loss
  std::vector<double> norms;  // of each parameter's gradient; -1: none
  double total_norm() const {
    double sum = 0;
    for (const double norm : norms) sum += norm > 0 ? norm * norm : 0;
    return std::sqrt(sum);
  }
};

Numbers numbers_on(const at::Device& device, const std::string& encoder,
                   model::Precision precision) {
  // A dropout mask comes from the device's own generator: other numbers, by design.
  const auto alice = tiny::make({"objective.alice.casa_dropout=0"}, encoder, kCrop);
  alice->set_precision(precision);
  alice->online().to(device);
  alice->target()->to(device);
  Views views = tiny::make_views({1, 2}, kCrop);
  for (auto& [name, tensor] : views.tensors) tensor = tensor.to(device);
  const Loss loss = alice->evaluate(views, {.step = 3, .epoch = 1, .seed = 7});
  EXPECT_EQ(loss.total.scalar_type(), torch::kFloat);
  loss.total.backward();
  Numbers numbers;
  for (const auto& term : loss.terms) {
    if (term.name != "acc") numbers.terms.push_back(term.value.item<double>());
  }
  for (const auto& item : alice->online().named_parameters()) {
    const torch::Tensor& gradient = item.value().grad();
    if (gradient.defined()) {
      EXPECT_EQ(gradient.scalar_type(), torch::kFloat) << item.key();
    }
    numbers.norms.push_back(gradient.defined() ? gradient.to(torch::kDouble).norm().item<double>()
                                               : -1);
  }
  return numbers;
}

class EncoderGpu : public OnGpu, public ::testing::WithParamInterface<const backbone::Entry*> {
 protected:
  void SetUp() override {
    OnGpu::SetUp();
    at::globalContext().setAllowTF32CuDNN(false);  // its rounding would hide a mistake
    at::globalContext().setAllowTF32CuBLAS(false);
  }
};

TEST_P(EncoderGpu, AgreesWithTheCpuInLossesAndGradients) {
  const Numbers host = numbers_on(torch::kCPU, GetParam()->name, model::Precision::Float32);
  const Numbers device = numbers_on(torch::kCUDA, GetParam()->name, model::Precision::Float32);
  ASSERT_EQ(host.terms.size(), device.terms.size());
  for (std::size_t i = 0; i < host.terms.size(); ++i)
    EXPECT_NEAR(device.terms[i], host.terms[i], 5e-3 * std::abs(host.terms[i])) << i;
  ASSERT_EQ(host.norms.size(), device.norms.size());
  const double largest = *std::max_element(host.norms.begin(), host.norms.end());
  for (std::size_t i = 0; i < host.norms.size(); ++i)
    EXPECT_NEAR(device.norms[i], host.norms[i],
                5e-3 * std::max(std::abs(host.norms[i]), 1e-3 * largest))
        << i;
}

TEST_P(EncoderGpu, InBf16StaysNearFloat32AndTrainsTheSameParameters) {
  const Numbers wide = numbers_on(torch::kCUDA, GetParam()->name, model::Precision::Float32);
  const Numbers narrow = numbers_on(torch::kCUDA, GetParam()->name, model::Precision::Bf16);
  EXPECT_NE(wide.terms, narrow.terms) << "nothing was computed in bf16";
  ASSERT_EQ(wide.terms.size(), narrow.terms.size());
  for (std::size_t i = 0; i < wide.terms.size(); ++i)
    EXPECT_NEAR(narrow.terms[i], wide.terms[i], 5e-2 * std::abs(wide.terms[i])) << i;
  ASSERT_EQ(wide.norms.size(), narrow.norms.size());
  for (std::size_t i = 0; i < wide.norms.size(); ++i) {
    EXPECT_TRUE(std::isfinite(narrow.norms[i])) << i;
    EXPECT_EQ(narrow.norms[i] < 0, wide.norms[i] < 0) << i;
  }
  EXPECT_NEAR(narrow.total_norm(), wide.total_norm(), 0.1 * wide.total_norm());
}

INSTANTIATE_TEST_SUITE_P(Catalog, EncoderGpu, ::testing::ValuesIn(backbone::catalog()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace homolog::objective

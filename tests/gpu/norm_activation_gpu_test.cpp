// The norm with its activation on a GPU against its CPU twin, through forward and backward.
#include "model/blocks/norm_activation.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "tests/gpu/on_gpu.h"

namespace homolog::model {
namespace {

using NormActivationGpu = OnGpu;
using torch::Tensor;

struct Results {
  Tensor y, of_x, of_shortcut;
};

Results on(torch::Device device, torch::ScalarType format, const Tensor& x, const Tensor& shortcut,
           const Tensor& weight) {
  const Tensor leaf = x.to(device, format).requires_grad_(),
               added = shortcut.to(device, format).requires_grad_();
  const auto y = norm_activation(leaf.clone(), added, 0.01);
  if (!y) throw std::logic_error("the operator should serve this");
  (*y * weight.to(device, format)).sum().backward();
  return {y->detach().to(torch::kCPU, torch::kFloat), leaf.grad().to(torch::kCPU, torch::kFloat),
          added.grad().to(torch::kCPU, torch::kFloat)};
}

void expect_near(const Tensor& got, const Tensor& want, double near) {
  EXPECT_LT((got - want).abs().max().item<double>(), near * want.abs().max().item<double>());
}

// Sizes with and without whole vectors, of one part and of several.
void expect_twin(torch::ScalarType format, double near) {
  torch::manual_seed(3);
  for (const std::vector<std::int64_t> sizes :
       {std::vector<std::int64_t>{2, 3, 4, 5, 7}, {2, 4, 32, 32, 32}, {1, 2, 33, 31, 17}}) {
    const auto rounded = [&] { return torch::randn(sizes).to(format).to(torch::kFloat); };
    const Tensor x = rounded(), shortcut = rounded(), weight = rounded();
    const Results want = on(torch::kCPU, torch::kFloat, x, shortcut, weight),
                  got = on(torch::kCUDA, format, x, shortcut, weight);
    expect_near(got.y, want.y, near);
    expect_near(got.of_x, want.of_x, near);
    expect_near(got.of_shortcut, want.of_shortcut, near);
  }
}

TEST_F(NormActivationGpu, EqualsTheCpuTwinInFloat32) { expect_twin(torch::kFloat, 1e-5); }
TEST_F(NormActivationGpu, EqualsTheCpuTwinInBfloat16) { expect_twin(torch::kBFloat16, 2e-2); }

}  // namespace
}  // namespace homolog::model

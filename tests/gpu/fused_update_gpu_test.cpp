// The CUDA kernel against its CPU twin.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "tests/gpu/on_gpu.h"
#include "tests/unit/train/toy.h"
#include "train/gradient_arena.h"
#include "train/optimizer.h"

namespace homolog::train {
namespace {

using FusedUpdateGpu = OnGpu;

void compare(const OptimizerPlan& plan) {
  torch::manual_seed(1);
  toy::Toy host, device;
  device.online().to(torch::kCUDA);
  device.target()->to(torch::kCUDA);
  const int moments = plan.name == "adamw" ? 2 : 1;
  GradientArena a(host, 1 << 20, moments), b(device, 1 << 20, moments);
  b.parameters().copy_(a.parameters());
  b.target().copy_(a.target());
  Optimizer cpu(a, plan, 0.5), gpu(b, plan, 0.5);
  for (int step = 0; step < 10; ++step) {
    a.gradients().copy_(torch::randn({a.size()}) * (step % 2 == 0 ? 20.0 : 0.1));
    b.gradients().copy_(a.gradients());
    std::vector<std::uint8_t> active(a.slots().size(), 1);
    active[0] = step > 2;
    EXPECT_NEAR(cpu.measure().item<double>(), gpu.measure().item<double>(),
                1e-6 * cpu.measure().item<double>());
    const StepRates rates{0.01, 0.1, 0.99};
    cpu.apply(rates, active);
    gpu.apply(rates, active);
    for (const Slot& slot : b.slots())
      EXPECT_EQ(b.view(b.gradients(), slot).abs().max().item<float>(), 0) << slot.name;
  }
  EXPECT_TRUE(torch::allclose(a.parameters(), b.parameters().cpu(), 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(a.target(), b.target().cpu(), 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(a.moment1(), b.moment1().cpu(), 1e-5, 1e-6));
}

TEST_F(FusedUpdateGpu, AdamWEqualsTheCpuTwin) { compare({}); }
TEST_F(FusedUpdateGpu, GlobalClippingEqualsTheCpuTwin) {
  compare({.clip = 1, .clip_mode = "global"});
}
TEST_F(FusedUpdateGpu, SgdEqualsTheCpuTwin) { compare({.name = "sgd", .clip = 0}); }

}  // namespace
}  // namespace homolog::train

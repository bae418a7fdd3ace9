// Claim about the one case in which our convolution differs from torch's (conv3d.h).
#include "model/blocks/conv3d.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "model/precision.h"

namespace homolog::model {
namespace {

// What is freed here is what the library reads next without having written it.
void dirty_the_allocator() {
  std::vector<at::Tensor> freed;
  for (std::int64_t n = 64; n < (1 << 20); n *= 2)
    freed.push_back(at::full({n}, std::numeric_limits<float>::quiet_NaN(), at::kBFloat16));
}

TEST(Conv3d, GradientsInBf16AreFiniteAlsoWhereTheKernelIsDeeperThanTheMap) {
  torch::manual_seed(3);
  Conv3d conv(torch::nn::Conv3dOptions(48, 48, 3).padding(1));
  for (const std::int64_t depth : {1, 2, 3}) {
    const at::Tensor x_BCXYZ = at::rand({2, 48, depth, 4, 4});
    const auto gradient = [&](Precision precision) {
      conv->zero_grad();
      {
        const Autocast autocast(precision, at::kCPU);
        wide(conv(x_BCXYZ)).square().mean().backward();
      }
      return conv->weight.grad().clone();
    };
    const at::Tensor expected = gradient(Precision::Float32);
    for (int turn = 0; turn < 20; ++turn) {
      dirty_the_allocator();
      const at::Tensor found = gradient(Precision::Bf16);
      ASSERT_LT((found - expected).abs().max().item<float>(),
                0.03F * expected.abs().max().item<float>())
          << "depth " << depth;
    }
  }
}

}  // namespace
}  // namespace homolog::model

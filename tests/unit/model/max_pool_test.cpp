// Both ways of pooling give the same maxima and the same gradient.
#include "model/blocks/max_pool.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace homolog::model {
namespace {

struct Deterministic {
  Deterministic() { at::globalContext().setDeterministicAlgorithms(true, false); }
  ~Deterministic() { at::globalContext().setDeterministicAlgorithms(false, false); }
};

void expect_equal(const backbone::Size3& kernel, const backbone::Size3& stride,
                  const backbone::Size3& padding) {
  torch::manual_seed(3);
  torch::Tensor a = torch::randn({2, 3, 7, 6, 9}), b = a.clone();
  a.requires_grad_();
  b.requires_grad_();
  const torch::Tensor usual = max_pool(a, kernel, stride, padding);
  torch::Tensor planewise;
  {
    const Deterministic mode;
    planewise = max_pool(b, kernel, stride, padding);
  }
  EXPECT_TRUE(torch::equal(usual, planewise));
  const torch::Tensor weights = torch::randn(usual.sizes());
  (usual * weights).sum().backward();
  (planewise * weights).sum().backward();
  EXPECT_TRUE(torch::allclose(a.grad(), b.grad(), 1e-6, 1e-6));
}

TEST(MaxPool, InDeterministicModeIsTheSameForTheResNetsPool) {
  expect_equal({3, 3, 3}, {2, 2, 2}, {1, 1, 1});
}

TEST(MaxPool, InDeterministicModeIsTheSameForUnequalSides) {
  expect_equal({2, 1, 1}, {2, 1, 1}, {0, 0, 0});
  expect_equal({3, 2, 1}, {1, 2, 3}, {1, 1, 0});
}

}  // namespace
}  // namespace homolog::model

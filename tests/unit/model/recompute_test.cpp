// Claims about a recomputed block by itself: it is the plain one in every number and every side
// effect, whatever surrounds it.
#include "model/recompute.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "model/precision.h"
#include "tests/unit/model/operators_watched.h"

namespace homolog::model {
namespace {

// Linear, norm, GELU, a factor or none, a second input.
struct BlockImpl : torch::nn::Module {
  BlockImpl() {
    linear = register_module("linear", torch::nn::Linear(4, 4));
    norm = register_module("norm", torch::nn::BatchNorm1d(4));
    unused = register_parameter("unused", torch::ones({2}));
  }
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& keep_B, double scale,
                        const torch::Tensor& skip) {
    ++passes;
    const torch::Tensor y = scale * at::gelu(norm(linear(x))) * linear->weight.sum() + skip;
    return keep_B.defined() ? y * keep_B.unsqueeze(1) : y;
  }
  torch::nn::Linear linear{nullptr};
  torch::nn::BatchNorm1d norm{nullptr};
  torch::Tensor unused;
  int passes = 0;
};
TORCH_MODULE(Block);

Block block() {
  torch::manual_seed(3);
  return {};
}

torch::Tensor rows(std::uint64_t seed, bool learns = true) {
  torch::manual_seed(seed);
  return torch::randn({6, 4}).set_requires_grad(learns);
}

constexpr std::array kBoth{Activations::Kept, Activations::Recomputed};

struct Outcome {
  torch::Tensor out;
  Tensors gradients;  // of inputs, then parameters
};

Outcome run(Activations which, const torch::Tensor& keep_B, bool inputs_learn = true) {
  Block b = block();
  const torch::Tensor x = rows(1, inputs_learn), skip = rows(2, inputs_learn);
  const torch::Tensor out = run_block(which, b, x, keep_B, 0.5, skip);
  out.square().sum().backward();
  Tensors gradients{x.grad(), skip.grad()};
  for (const auto& p : b->parameters()) gradients.push_back(p.grad());
  return {out.detach(), gradients};
}

void expect_same(const Outcome& a, const Outcome& b) {
  EXPECT_TRUE(torch::equal(a.out, b.out));
  ASSERT_EQ(a.gradients.size(), b.gradients.size());
  for (std::size_t i = 0; i < a.gradients.size(); ++i) {
    ASSERT_EQ(a.gradients[i].defined(), b.gradients[i].defined()) << i;
    if (a.gradients[i].defined()) {
      EXPECT_TRUE(torch::equal(a.gradients[i], b.gradients[i])) << i;
    }
  }
}

TEST(Recompute, IsThePlainBlockInEveryNumberWithAnInputMissingOrThere) {
  for (const torch::Tensor& keep_B : {torch::Tensor(), torch::tensor({0., 2., 2., 0., 2., 1.})})
    expect_same(run(Activations::Kept, keep_B), run(Activations::Recomputed, keep_B));
}

TEST(Recompute, ABlockWhoseInputsNeedNoGradientTrainsItsParameters) {
  const Outcome plain = run(Activations::Kept, {}, false);
  EXPECT_TRUE(plain.gradients[3].defined()) << "the weight, behind two inputs and what is unused";
  expect_same(plain, run(Activations::Recomputed, {}, false));
}

TEST(Recompute, WithoutGradientsTheBlockIsRunOnceAndKeepsNothing) {
  Block b = block();
  const torch::NoGradGuard no_grad;
  const torch::Tensor out =
      run_block(Activations::Recomputed, b, rows(1), torch::Tensor(), 0.5, rows(2));
  EXPECT_EQ(b->passes, 1);
  EXPECT_FALSE(out.requires_grad());
}

TEST(Recompute, AParameterOfTwoBlocksMeetsItsAccumulatorOnceWithTheSum) {
  Tensors gradients;
  for (const Activations which : kBoth) {
    Block b = block();
    int met = 0;
    const auto accumulator = torch::autograd::impl::grad_accumulator(b->linear->weight);
    accumulator->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(
        [&met](const Tensors& out, const Tensors&) { return ++met, out; }));
    const torch::Tensor x = rows(1), none;
    torch::Tensor y = run_block(which, b, x, none, 0.5, x);
    y = run_block(which, b, y, none, 0.5, x);
    (y.square().sum() + b->linear->weight.sum()).backward();
    EXPECT_EQ(met, 1);
    gradients.push_back(b->linear->weight.grad());
  }
  EXPECT_TRUE(torch::allclose(gradients[0], gradients[1], 1e-5, 1e-6));
}

TEST(Recompute, RunningStatisticsMoveOnceAndAModeChangedMeanwhileIsNotTheBlocks) {
  std::vector<Block> blocks;
  Tensors gradients;
  for (const Activations which : kBoth) {
    Block b = block();
    const torch::Tensor x = rows(1);
    const torch::Tensor y = run_block(which, b, x, torch::Tensor(), 0.5, x);
    b->eval();
    b->norm->train();  // unlike its parent
    y.square().sum().backward();
    EXPECT_FALSE(b->is_training());
    EXPECT_TRUE(b->norm->is_training());
    EXPECT_FALSE(b->linear->is_training());
    gradients.push_back(x.grad());
    blocks.push_back(b);
  }
  EXPECT_TRUE(torch::equal(gradients[0], gradients[1]));
  EXPECT_EQ(blocks[1]->norm->num_batches_tracked.item<std::int64_t>(), 1);
  EXPECT_TRUE(torch::equal(blocks[0]->norm->running_mean, blocks[1]->norm->running_mean));
  EXPECT_TRUE(torch::equal(blocks[0]->norm->running_var, blocks[1]->norm->running_var));
}

TEST(Recompute, ABlockFrozenInEvaluationIsRecomputedInEvaluation) {
  Tensors gradients;
  for (const Activations which : kBoth) {
    Block b = block();
    b->norm->eval();
    const torch::Tensor x = rows(1);
    const torch::Tensor y = run_block(which, b, x, torch::Tensor(), 0.5, x);
    b->train();
    y.square().sum().backward();
    EXPECT_EQ(b->norm->num_batches_tracked.item<std::int64_t>(), 0);
    gradients.push_back(x.grad());
  }
  EXPECT_TRUE(torch::equal(gradients[0], gradients[1]));
}

TEST(Recompute, TheSecondPassComputesInTheFormatOfTheFirstWhereverBackwardIsCalled) {
  for (const bool bf16_first : {true, false}) {
    std::vector<Tensors> gradients;
    for (const Activations which : kBoth) {
      Block b = block();
      const torch::Tensor x = rows(1);
      torch::Tensor y;
      {
        const Autocast autocast(bf16_first ? Precision::Bf16 : Precision::Float32, at::kCPU);
        y = run_block(which, b, x, torch::Tensor(), 0.5, x);
        EXPECT_EQ(y.scalar_type(), torch::kFloat);
      }
      const Autocast other(bf16_first ? Precision::Float32 : Precision::Bf16, at::kCPU);
      const OperatorsWatched watched;
      y.square().sum().backward();
      if (which == Activations::Recomputed) {
        EXPECT_EQ(watched.gave("addmm", torch::kBFloat16), bf16_first);
      }
      EXPECT_EQ(at::autocast::is_autocast_enabled(at::kCPU), !bf16_first);
      gradients.push_back({x.grad(), b->linear->weight.grad(), b->norm->weight.grad()});
    }
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_TRUE(torch::allclose(gradients[0][i], gradients[1][i], 1e-2, 1e-2)) << i;
    if (!bf16_first) {
      EXPECT_TRUE(torch::allclose(gradients[0][0], gradients[1][0], 1e-5, 1e-6));
    }
  }
}

TEST(Recompute, ACastOfAWeightMadeInsideLeavesItsGradientOutsideAlone) {
  Tensors gradients;
  for (const Activations which : kBoth) {
    Block b = block();
    const torch::Tensor x = rows(1);
    torch::Tensor sum;
    {
      const Autocast autocast(Precision::Bf16, at::kCPU);
      sum = run_block(which, b, x, torch::Tensor(), 0.5, x).sum() +
            100 * at::linear(x, b->linear->weight).sum();  // the same weight beside the block
    }
    sum.backward();
    gradients.push_back(b->linear->weight.grad());
  }
  EXPECT_TRUE(torch::allclose(gradients[0], gradients[1], 1e-2, 1e-1));
}

TEST(Recompute, RefusesAnInputThatWasChangedMeanwhileAndASecondDerivative) {
  const torch::Tensor none;
  Block b = block();
  const torch::Tensor x = rows(1) * 1;
  torch::Tensor y = run_block(Activations::Recomputed, b, x, none, 0.5, x);
  x.detach().mul_(2);
  EXPECT_THROW(y.sum().backward(), c10::Error);
  const torch::Tensor again = rows(1);
  y = run_block(Activations::Recomputed, b, again, none, 0.5, again);
  try {
    torch::autograd::grad({y.sum()}, {again}, {}, true, /*create_graph=*/true);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
  }
}

}  // namespace
}  // namespace homolog::model

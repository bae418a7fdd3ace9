// Claims about the arena, the reducer's hooks and the fused update, held against torch's own AdamW,
// SGD, per-tensor clipping and EMA.
#include <gtest/gtest.h>

#include <cmath>

#include <torch/optim.h>

#include "toy.h"
#include "train/bucket_reducer.h"
#include "train/consensus.h"
#include "train/gradient_arena.h"
#include "train/optimizer.h"

namespace homolog::train {
namespace {

using toy::Toy;
using toy::ToySource;

std::vector<torch::Tensor> clones(torch::nn::Module& module) {
  std::vector<torch::Tensor> out;
  for (const auto& p : module.parameters()) out.push_back(p.detach().clone());
  return out;
}

TEST(GradientArena, KeepsValuesAndMakesEveryTensorAView) {
  torch::manual_seed(1);
  Toy toy;
  const auto before = clones(toy.online()), target_before = clones(*toy.target());
  GradientArena arena(toy, 1 << 20, 2);
  const auto after = toy.online().parameters();
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_TRUE(torch::equal(before[i], after[i]));
  const auto target_after = toy.target()->parameters();
  for (std::size_t i = 0; i < target_after.size(); ++i)
    EXPECT_TRUE(torch::equal(target_before[i], target_after[i]));
  for (const Slot& slot : arena.slots()) {
    EXPECT_EQ(slot.parameter.data_ptr<float>(), arena.parameters().data_ptr<float>() + slot.begin)
        << slot.name;
    EXPECT_EQ(slot.parameter.grad().data_ptr<float>(),
              arena.gradients().data_ptr<float>() + slot.begin)
        << slot.name;
    EXPECT_NE(slot.name, "fixed");
  }
}

TEST(GradientArena, DecayedAndCopiedParametersAreOneRangeEach) {
  Toy toy;
  GradientArena arena(toy, 256, 2);
  std::vector<int> decayed, copied;
  std::int64_t end = 0;
  for (const Slot& slot : arena.slots()) {
    EXPECT_GE(slot.begin, end);
    EXPECT_EQ(slot.begin % 16, 0);
    end = slot.begin + slot.count;
    decayed.push_back(slot.begin < arena.decayed_size());
    EXPECT_EQ(decayed.back(), slot.rule.decayed) << slot.name;
    copied.push_back(slot.target_begin >= 0);
  }
  const auto changes = [](const std::vector<int>& v) {
    int n = 0;
    for (std::size_t i = 1; i < v.size(); ++i) n += v[i] != v[i - 1];
    return n;
  };
  EXPECT_EQ(changes(decayed), 1);
  EXPECT_EQ(changes(copied), 2);
  std::int64_t covered = 0;
  for (const Bucket& bucket : arena.buckets()) {
    EXPECT_EQ(bucket.begin, covered);
    covered += bucket.count;
  }
  EXPECT_EQ(covered, arena.size());
}

TEST(BucketReducer, GradientsStayViewsAndUnusedTensorsAreNotTouched) {
  Toy toy;
  GradientArena arena(toy, 256, 2);
  const auto solo = comm::connect({.backend = "solo"});
  BucketReducer reducer(arena, *solo);
  ToySource source(Start{{}, 0, 1, 2, 1, 7});
  for (int pass = 0; pass < 2; ++pass) {
    arena.zero_gradients();
    reducer.arm(true, true);
    toy.evaluate(source.next().views, {}).total.backward();
    reducer.finish();
    for (std::size_t i = 0; i < arena.slots().size(); ++i) {
      const Slot& slot = arena.slots()[i];
      EXPECT_EQ(slot.parameter.grad().data_ptr<float>(),
                arena.gradients().data_ptr<float>() + slot.begin);
      EXPECT_EQ(reducer.touched()[i] == 1, slot.name != "unused") << slot.name;
    }
    EXPECT_TRUE(std::isfinite(reducer.local_maximum().item<float>()));
  }
}

TEST(BucketReducer, SeesANonFiniteGradientOfThisRank) {
  Toy toy(toy::Faults{.poisoned = {0}});
  GradientArena arena(toy, 256, 2);
  const auto solo = comm::connect({.backend = "solo"});
  BucketReducer reducer(arena, *solo);
  reducer.arm(true, true);
  toy.evaluate(ToySource(Start{{}, 0, 1, 2, 1, 7}).next().views, {}).total.backward();
  reducer.finish();
  EXPECT_FALSE(std::isfinite(reducer.local_maximum().item<float>()));
}

// The same steps by torch's optimisers, on copies of the tensors.
class Twin {
 public:
  Twin(GradientArena& arena, const OptimizerPlan& plan) : arena_(arena), plan_(plan) {
    for (const Slot& slot : arena.slots()) {
      parameters_.push_back(slot.parameter.detach().clone().requires_grad_(true));
      targets_.push_back(slot.parameter.detach().clone());
      std::vector<torch::Tensor> one{parameters_.back()};
      if (plan.name == "adamw") {
        each_.push_back(std::make_unique<torch::optim::AdamW>(
            one, torch::optim::AdamWOptions().betas({plan.beta1, plan.beta2}).eps(plan.epsilon)));
      } else {
        each_.push_back(std::make_unique<torch::optim::SGD>(
            one, torch::optim::SGDOptions(0.1).momentum(plan.momentum)));
      }
    }
  }
  void step(const StepRates& rates, std::span<const std::uint8_t> active, double scale) {
    torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> gradients;
    double square = 0;
    for (const Slot& slot : arena_.slots()) {
      gradients.push_back(arena_.view(arena_.gradients(), slot).clone() * scale);
      if (slot.rule.clipped) square += std::pow(gradients.back().norm().item<double>(), 2);
    }
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const Slot& slot = arena_.slots()[i];
      if (active[i] != 0) {
        const double norm =
            plan_.clip_mode == "global" ? std::sqrt(square) : gradients[i].norm().item<double>();
        const double factor =
            plan_.clip > 0 && slot.rule.clipped ? std::min(1.0, plan_.clip / (norm + 1e-6)) : 1;
        parameters_[i].mutable_grad() = gradients[i] * factor;
        set_rates(*each_[i], rates, slot.rule.decayed);
        each_[i]->step();
      }
      targets_[i].mul_(rates.ema_momentum).add_(parameters_[i].detach(), 1 - rates.ema_momentum);
    }
  }
  void expect_equal(GradientArena& arena) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const Slot& slot = arena.slots()[i];
      EXPECT_TRUE(torch::allclose(parameters_[i], slot.parameter, 1e-5, 1e-6)) << slot.name;
      if (slot.target_begin < 0) continue;
      const auto target =
          arena.target().narrow(0, slot.target_begin, slot.count).view(slot.parameter.sizes());
      EXPECT_TRUE(torch::allclose(targets_[i], target, 1e-5, 1e-6)) << slot.name << " (target)";
    }
  }

 private:
  void set_rates(torch::optim::Optimizer& optimizer, const StepRates& rates, bool decayed) {
    auto& options = optimizer.param_groups()[0].options();
    const double decay = decayed ? rates.weight_decay : 0;
    if (plan_.name == "adamw") {
      static_cast<torch::optim::AdamWOptions&>(options).lr(rates.learning_rate).weight_decay(decay);
    } else {
      static_cast<torch::optim::SGDOptions&>(options).lr(rates.learning_rate).weight_decay(decay);
    }
  }
  GradientArena& arena_;
  OptimizerPlan plan_;
  std::vector<torch::Tensor> parameters_, targets_;
  std::vector<std::unique_ptr<torch::optim::Optimizer>> each_;
};

void compare_with_torch(const OptimizerPlan& plan) {
  torch::manual_seed(3);
  Toy toy;
  GradientArena arena(toy, 1 << 20, plan.name == "adamw" ? 2 : 1);
  Optimizer ours(arena, plan, 0.25);
  Twin twin(arena, plan);
  for (int step = 0; step < 12; ++step) {
    arena.gradients().copy_(torch::randn({arena.size()}) * (step % 3 == 0 ? 30.0 : 0.5));
    const StepRates rates{0.01 + 0.002 * step, 0.1 + 0.01 * step, 0.9 + 0.005 * step};
    std::vector<std::uint8_t> active(arena.slots().size(), 1);
    if (step < 4) active[1] = 0;  // frozen at first: its bias correction starts later
    const double square = ours.measure().item<double>();
    double expected = 0;
    for (const Slot& slot : arena.slots())
      expected += std::pow(arena.view(arena.gradients(), slot).norm().item<double>() * 0.25, 2);
    EXPECT_NEAR(square, expected, 1e-4 * expected);
    twin.step(rates, active, 0.25);
    ours.apply(rates, active);
    for (const Slot& slot : arena.slots())  // zeros for the next step, where it froze, too
      EXPECT_EQ(arena.view(arena.gradients(), slot).abs().max().item<float>(), 0) << slot.name;
  }
  twin.expect_equal(arena);
  EXPECT_EQ(ours.update_counts()[0], 12);
  EXPECT_EQ(ours.update_counts()[1], 8);
}

TEST(FusedUpdate, IsTorchsAdamWWithPerTensorClippingAndEma) { compare_with_torch({}); }
TEST(FusedUpdate, IsTorchsAdamWWithGlobalClipping) {
  compare_with_torch({.clip = 1.0, .clip_mode = "global"});
}
TEST(FusedUpdate, IsTorchsSgdWithMomentumAndCoupledDecay) {
  compare_with_torch({.name = "sgd", .clip = 0});
}

TEST(FusedUpdate, FindsEveryNonFiniteValueAnywhere) {
  std::vector<float> values(1003, 1e38f);
  EXPECT_TRUE(all_finite_cpu(values.data(), 1003));
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    for (const std::size_t at : {0u, 500u, 1002u}) {
      auto copy = values;
      copy[at] = bad;
      EXPECT_FALSE(all_finite_cpu(copy.data(), 1003)) << bad << " at " << at;
    }
  }
}

TEST(Consensus, OfOneRankReturnsItsOwnBallot) {
  const auto solo = comm::connect({.backend = "solo"});
  const std::vector<std::uint8_t> touched{1, 0, 1};
  Ballot ballot{torch::tensor(2.5f),
                {torch::tensor(1.0f)},
                torch::arange(3.0f),
                torch::tensor(1.0f),
                torch::tensor(9.0, torch::kDouble),
                touched,
                true,
                false};
  const World world = Consensus(*solo).agree(ballot);
  EXPECT_DOUBLE_EQ(world.total, 2.5);
  EXPECT_DOUBLE_EQ(world.gradient_norm, 3);
  EXPECT_TRUE(torch::equal(world.statistics, torch::arange(3.0f)));
  EXPECT_EQ(world.touched, touched);
  EXPECT_TRUE(world.finite && world.stop && !world.save);
}

}  // namespace
}  // namespace homolog::train

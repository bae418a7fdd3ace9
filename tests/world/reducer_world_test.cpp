// Claims about the gradient all-reduce at 2 and 4 ranks. Gradients are whole numbers, sums exact.
#include <gtest/gtest.h>

#include "tests/unit/train/toy.h"
#include "tests/world/world_main.h"
#include "train/bucket_reducer.h"
#include "train/consensus.h"

namespace {

using namespace homolog;
using namespace homolog::train;

// Layers whose gradient is (rank+1) * scale; `skip` leaves one layer without gradient on this rank.
struct Linear final : objective::Objective {
  struct Net : torch::nn::Module {
    Net() {
      for (int i = 0; i < 6; ++i)
        weights.push_back(register_parameter("w" + std::to_string(i), torch::zeros({50 + i, 3})));
    }
    std::vector<torch::Tensor> weights;
  };
  torch::nn::Module& online() override { return net; }
  torch::nn::Module* target() override { return nullptr; }
  objective::Loss evaluate(const objective::Views&, const objective::StepInfo&) override {
    objective::Loss loss;
    for (std::size_t i = 0; i < net.weights.size(); ++i) {
      if (static_cast<int>(i) == skip) continue;
      const auto piece =
          net.weights[i].sum() * static_cast<double>((world->rank().index + 1) * (i + 1));
      loss.total = loss.total.defined() ? loss.total + piece : piece;
    }
    return loss;
  }
  std::string exported_prefix() const override { return ""; }
  bool is_exported(const std::string&) const override { return false; }
  Net net;
  int skip = -1;
};

double ranks_sum() { return world->rank().size * (world->rank().size + 1) / 2.0; }

TEST(ReducerWorld, EveryGradientIsTheSumOverRanks) {
  Linear objective;
  GradientArena arena(objective, 512, 1);
  ASSERT_GT(arena.buckets().size(), 2u);
  BucketReducer reducer(arena, *world);
  for (int step = 0; step < 3; ++step) {
    arena.zero_gradients();
    reducer.arm(true, true);
    objective.evaluate({}, {}).total.backward();
    reducer.finish();
    for (std::size_t i = 0; i < 6; ++i) {
      const auto& grad = objective.net.weights[i].grad();
      EXPECT_TRUE(
          torch::equal(grad, torch::full_like(grad, ranks_sum() * static_cast<double>(i + 1))))
          << i;
    }
  }
}

TEST(ReducerWorld, ABranchUnusedOnOneRankNeitherHangsNorIsLost) {
  Linear objective;
  objective.skip = world->rank().index == 0 ? 3 : -1;
  GradientArena arena(objective, 512, 1);
  BucketReducer reducer(arena, *world);
  reducer.arm(true, true);
  const auto loss = objective.evaluate({}, {});
  loss.total.backward();
  reducer.finish();
  EXPECT_EQ(objective.net.weights[3].grad()[0][0].item<double>(), (ranks_sum() - 1) * 4);
  Ballot ballot{loss.total.detach(), {},    {},   reducer.local_maximum(), torch::zeros({}),
                reducer.touched(),   false, false};
  for (const auto touched : Consensus(*world).agree(ballot).touched) EXPECT_EQ(touched, 1);
}

TEST(ReducerWorld, MicroBatchesAddUpBeforeTheyTravel) {
  Linear objective;
  GradientArena arena(objective, 512, 1);
  BucketReducer reducer(arena, *world);
  const auto before = reducer.bytes_sent();
  for (int micro = 0; micro < 3; ++micro) {
    reducer.arm(micro == 0, micro == 2);
    objective.evaluate({}, {}).total.backward();
  }
  reducer.finish();
  EXPECT_EQ(objective.net.weights[5].grad()[0][0].item<double>(), ranks_sum() * 6 * 3);
  EXPECT_EQ(reducer.bytes_sent() - before, static_cast<std::uint64_t>(arena.size()) * 4);
}

TEST(ReducerWorld, OneRanksNanIsKnownByNameAndOneStopVoteStopsAll) {
  const int last = world->rank().size - 1;
  const bool mine = world->rank().index == last;
  const std::vector<std::uint8_t> touched{1};
  Ballot ballot{torch::tensor(1.0),
                {},
                {},
                torch::tensor(mine ? NAN : 1.0f),
                torch::tensor(mine ? 1.0 : 1.0),
                touched,
                mine,
                false};
  const World result = Consensus(*world).agree(ballot);
  EXPECT_FALSE(result.finite);
  EXPECT_EQ(result.nonfinite_ranks, std::vector<int>{last});
  EXPECT_TRUE(result.stop);
  EXPECT_FALSE(result.save);
}

}  // namespace

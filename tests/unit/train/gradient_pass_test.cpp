// Claims about recorded passes. On a CPU a recording calls what it recorded, with the inputs of its
// first step in hand but for what prepare() renews: so a draw, a mask or a centre that would be
// frozen into a CUDA graph is seen here.
#include <gtest/gtest.h>

#include "tests/unit/train/pass_sides.h"
#include "tests/unit/train/toy.h"

namespace homolog::train {
namespace {

using toy::expect_equal_steps;

TEST(GradientPass, ARecordedPassGivesWhatAPlainOneGives) { expect_equal_steps({}, "nnformer"); }

TEST(GradientPass, DrawsOfDropoutAndStochasticDepthAreThoseOfTheStep) {
  expect_equal_steps({"objective.alice.casa_dropout=0.3", "objective.alice.target_dropout=true",
                      "model.nnformer.drop_path=0.4", "objective.alice.target_drop_path=true"},
                     "nnformer");
}

TEST(GradientPass, MasksOfANetworkThatLeavesOutPatchesAreThoseOfTheStep) {
  expect_equal_steps({}, "vit");
}

TEST(GradientPass, AccumulatesMicroBatches) { expect_equal_steps({}, "vit", 2); }

TEST(GradientPass, AnObjectiveWhoseWorkDependsOnItsDataIsEvaluatedAsItStands) {
  toy::Toy toy;
  GradientArena arena(toy, 1 << 20, 2);
  const auto solo = comm::connect({.backend = "solo"});
  BucketReducer reducer(arena, *solo);
  GradientPass pass(toy, reducer, torch::kCPU, true);
  toy::ToySource source(Start{{}, 0, 1, 2, 1, 7});
  PartSeconds parts{};
  Laps laps(parts);
  const objective::Loss loss = pass.run(source.next().views, {}, true, true, laps);
  reducer.finish();
  EXPECT_FALSE(pass.is_recorded());
  EXPECT_GT(loss.total.item<double>(), 0);
  EXPECT_GT(arena.gradients().abs().sum().item<double>(), 0);
}

}  // namespace
}  // namespace homolog::train

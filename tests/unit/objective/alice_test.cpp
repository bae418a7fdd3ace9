// Alice as an objective: what is trained, what a step returns, what validation leaves alone, and
// that the mean over ranks equals one larger batch.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "tests/unit/objective/tiny_alice.h"

namespace homolog::objective {
namespace {

using namespace tiny;

std::vector<std::string> names(const Loss& loss) {
  std::vector<std::string> out;
  for (const auto& term : loss.terms) out.push_back(term.name);
  return out;
}

TEST(Alice, TargetNamesAreASubsetOfOnlinesAndItNeverTrains) {
  const auto alice = make();
  const auto online = alice->online().named_parameters();
  alice->evaluate(make_views({1}), {.step = 3}).total.backward();
  for (const auto& item : alice->target()->named_parameters()) {
    ASSERT_TRUE(online.contains(item.key())) << item.key();
    EXPECT_TRUE(torch::equal(item.value(), online[item.key()])) << item.key();
    EXPECT_FALSE(item.value().requires_grad()) << item.key();
  }
  EXPECT_FALSE(alice->target()->is_training());
  EXPECT_FALSE(alice->target()->named_parameters().contains("casa.Cross_Att.MH_attn.w_qs.weight"));
}

TEST(Alice, TargetsLastLayerCanStartAsInTheReference) {
  const auto alice = make({"objective.alice.target_last=last2"});
  EXPECT_TRUE(torch::equal(alice->target()->named_parameters()["head.last_layer.weight_v"],
                           alice->online().named_parameters()["head.last_layer2.weight_v"]));
}

TEST(Alice, TermsAddUpToTheTotal) {
  const auto alice = make();
  const Loss loss = alice->evaluate(make_views({1, 2}), {.step = 3});
  EXPECT_EQ(names(loss), (std::vector<std::string>{"inter", "intra", "acc", "reconstruction"}));
  EXPECT_NEAR(loss.total.item<double>(),
              term(loss, "inter") + term(loss, "intra") + term(loss, "reconstruction"), 1e-5);
  EXPECT_EQ(loss.statistics.numel(), 2 * 25);
  EXPECT_EQ(loss.statistics[24].item<float>(), 4.0F) << "rows of the class token";
  EXPECT_EQ(loss.statistics[49].item<float>(), 4.0F * 8) << "rows times tokens";
}

TEST(Alice, AbsorbMovesCentresToATenthOfTheMean) {
  const auto alice = make();
  const Loss loss = alice->evaluate(make_views({1, 2}), {.step = 3});
  alice->absorb(loss.statistics * 3, 3);  // three equal ranks
  const torch::Tensor mean = loss.statistics.slice(0, 0, 24) / 4;
  EXPECT_TRUE(torch::allclose(alice->state().at("centre_cls").flatten(), 0.1 * mean, 1e-4, 1e-6));
}

TEST(Alice, StepIsAFunctionOfSeedStepAndIds) {
  const auto alice = make();
  const Views views = make_views({1, 2});
  const auto total = [&](const StepInfo& info) {
    return alice->evaluate(views, info).total.item<double>();
  };
  const double first = total({.step = 3, .seed = 9});
  torch::rand({100});  // the global generator plays no part
  EXPECT_EQ(total({.step = 3, .seed = 9}), first);
  EXPECT_NE(total({.step = 4, .seed = 9}), first);
  EXPECT_NE(total({.step = 3, .seed = 10}), first);
}

TEST(Alice, TwoRanksWithOnePairEachEqualOneRankWithTwo) {
  const auto alice = make();
  const StepInfo info{.step = 3, .seed = 9};
  const Loss both = alice->evaluate(make_views({1, 2}), info);
  const Loss a = alice->evaluate(make_views({1}), info), b = alice->evaluate(make_views({2}), info);
  EXPECT_NEAR(both.total.item<double>(), 0.5 * (a.total + b.total).item<double>(), 2e-4);
  EXPECT_TRUE(torch::allclose(both.statistics, a.statistics + b.statistics, 1e-3, 1e-4));
}

TEST(Alice, ValidationDrawsTheSameEveryTimeAndChangesNothing) {
  const auto alice = make();
  const Views views = make_views({1, 2});
  alice->online().train();
  const Loss first = alice->evaluate(views, {.step = 3, .training = false});
  const Loss later = alice->evaluate(views, {.step = 8, .training = false});
  EXPECT_EQ(first.total.item<double>(), later.total.item<double>());
  EXPECT_FALSE(first.total.requires_grad());
  EXPECT_FALSE(first.statistics.defined());
  EXPECT_TRUE(alice->online().is_training()) << "the mode before is restored";
}

TEST(Alice, WithoutDistillationThereIsNoTarget) {
  const auto alice = make({"objective.alice.lambda_inter=0", "objective.alice.lambda_intra=0"});
  EXPECT_EQ(alice->target(), nullptr);
  const Loss loss = alice->evaluate(make_views({1}), {.step = 1});
  EXPECT_EQ(names(loss), std::vector<std::string>{"reconstruction"});
}

TEST(Alice, TheTargetSeesItsOwnViewsAndTheStudentThePlainOnes) {
  Views views = make_views({1});
  const Loss loss = make()->evaluate(views, {.step = 1});
  views.tensors["target_query_B1XYZ"] = views.tensors["target_query_B1XYZ"].flip(2);
  const Loss other = make()->evaluate(views, {.step = 1});
  EXPECT_FALSE(torch::allclose(loss.statistics, other.statistics, 1e-4, 1e-4));
  EXPECT_EQ(term(loss, "reconstruction"), term(other, "reconstruction"));
  views.tensors.erase("target_query_B1XYZ");
  EXPECT_THROW(make()->evaluate(views, {}), Error) << "no silent fall-back to the plain crop";
}

TEST(Alice, TargetMaskingChangesTheDistillationOnly) {
  const Views views = make_views({1});
  const Loss intact = make()->evaluate(views, {.step = 1});
  const Loss masked = make({"objective.alice.target_mask_ratio=0.5"})->evaluate(views, {.step = 1});
  EXPECT_FALSE(torch::allclose(intact.statistics, masked.statistics, 1e-4, 1e-4))
      << "raw target outputs";
  EXPECT_EQ(term(intact, "reconstruction"), term(masked, "reconstruction"));
}

TEST(Alice, RulesFollowTheMethod) {
  const auto alice = make();
  const auto rule = [&](const std::string& name) {
    return alice->rule(name, alice->online().named_parameters()[name]);
  };
  EXPECT_FALSE(rule("head.last_layer.weight_g").trained);
  EXPECT_TRUE(rule("head.last_layer.weight_v").frozen_first_epoch);
  EXPECT_TRUE(rule("head.last_layer2.weight_v").frozen_first_epoch);
  EXPECT_FALSE(rule("casa.zeta.weight").clipped);
  EXPECT_TRUE(rule("backbone.decoder.layers.2.Upsample.up.weight").clipped);
  EXPECT_FALSE(rule("head.mlp.0.bias").decayed);
  EXPECT_TRUE(
      rule("backbone.model_down.layers.0.blocks.0.attn.relative_position_bias_table").decayed);
  EXPECT_FALSE(alice->is_exported("backbone.final.0.up.weight"));
  EXPECT_TRUE(alice->is_exported("backbone.model_down.norm3.weight"));
  EXPECT_FALSE(alice->is_exported("head.mlp.0.weight"));
}

TEST(Alice, RefusesToTrainNothing) {
  EXPECT_THROW(make({"objective.alice.lambda_inter=0", "objective.alice.lambda_intra=0",
                     "objective.alice.lambda_reconstruction=0"}),
               Error);
  std::vector<std::string> unmasked = {
      "objective.alice.lambda_inter=0", "objective.alice.lambda_intra=0",
      "objective.alice.mask_ratio=0", "objective.alice.reconstruction_region=masked"};
  EXPECT_THROW(make(unmasked), Error) << "no voxel is masked, masked ones alone would count";
  unmasked.pop_back();
  EXPECT_NO_THROW(make(unmasked)) << "all voxels count";
}

TEST(Alice, TellsTheTemperatureOfItsTargetByEpoch) {
  const auto alice = make(
      {"objective.alice.target_temperature_start=0.01", "objective.alice.target_temperature=0.03",
       "objective.alice.temperature_epochs=3", "objective.alice.intra_start_epoch=1"});
  EXPECT_DOUBLE_EQ(alice->gauges(0).at("teacher_temperature"), 0.01);
  EXPECT_DOUBLE_EQ(alice->gauges(1).at("teacher_temperature"), 0.02);
  EXPECT_DOUBLE_EQ(alice->gauges(1).at("teacher_temperature_tokens"), 0.01);
  EXPECT_DOUBLE_EQ(alice->gauges(9).at("teacher_temperature"), 0.03);
}

}  // namespace
}  // namespace homolog::objective
